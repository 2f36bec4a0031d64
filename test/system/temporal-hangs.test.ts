import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Client, Connection, isGrpcDeadlineError } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createHousekeepingActivities } from '../../activities/housekeeping/index.ts';
import { sqlOf } from '../../db/orm.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { lastRounds } from '../../db/queries/system/housekeeping-rounds.ts';
import { keepHousekeeping } from '../../workers/housekeeper.ts';
import { aRule, Engine } from '../support/engine.ts';
import { silent } from '../support/stage/log.ts';
import { waitFor } from '../support/wait-for.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

describe('a Temporal server that accepts connections and never answers', () => {
  let engine: Engine;
  let server: Server;
  let client: Client;
  const sockets = new Set<Socket>();

  before(async () => {
    engine = await Engine.start(NOON);
    await createRule(engine.orm, aRule(), NOON);
    server = createServer((socket) => {
      sockets.add(socket.on('error', () => {}));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    client = new Client({ connection: Connection.lazy({ address: `127.0.0.1:${port}` }) });
  });
  after(async () => {
    await client.connection.close();
    for (const socket of sockets) socket.destroy();
    server.close();
    await engine.stop();
  });

  const parts = () => ({ orm: engine.orm, client, clock: () => engine.now, log: silent });

  it('a round of housekeeping ends with a recorded error', async () => {
    const { reconcile } = createHousekeepingActivities({
      ...parts(),
      ...{ retentionDays: 7, incidentRetentionDays: 20 },
    });
    await assert.rejects(new MockActivityEnvironment().run(reconcile), isGrpcDeadlineError);
    const [round] = await lastRounds(sqlOf(engine.orm));
    assert.match(round?.error ?? '', /deadline/i);
  });

  it('the worker that starts housekeeping is not blocked', async () => {
    const failed: unknown[] = [];
    const log = { ...silent, warn: ({ err }: { err: unknown }) => failed.push(err) };
    const keeping = keepHousekeeping({ ...parts(), log: log as unknown as typeof silent });
    await waitFor(() => failed.length > 0, { what: 'the failed start', timeoutMs: 45_000 });
    await keeping.stop();
    assert.ok(isGrpcDeadlineError(failed[0]));
  });
});
