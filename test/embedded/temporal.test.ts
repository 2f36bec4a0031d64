import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { identityOf } from '../../embedded/processes/identity.ts';
import {
  type RunningTemporal,
  startTemporal,
  type TemporalOptions,
} from '../../embedded/temporal/temporal.ts';
import { RETENTION_DAYS, register, searchAttributes } from '../../temporal-config/register.ts';
import { steadyPort } from '../support/ports.ts';
import { rejectsWithSentence } from '../support/sentence.ts';
import { freshNamespace, temporalAddress } from '../support/servers.ts';
import { temporaryDirectory } from '../support/temporary.ts';

describe('embedded Temporal', () => {
  let dir: string;
  let running: RunningTemporal | undefined;

  beforeEach(() => {
    dir = temporaryDirectory();
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
  });

  async function start(options: Partial<TemporalOptions> = {}): Promise<RunningTemporal> {
    const logFile = join(dir, 'temporal.log');
    running = await startTemporal({ namespace: 'default', logFile, log: () => {}, ...options });
    return running;
  }

  it('keeps workflows over a restart, even after it was killed', async () => {
    const dbFile = join(dir, 'temporal.db');
    const first = await start({ dbFile });
    await connected(first.address, ({ workflow }) =>
      workflow.start('any', { workflowId: 'kept', taskQueue: 'nobody' }),
    );
    process.kill(first.pid, 'SIGKILL');
    await first.exited;
    const second = await start({ dbFile });
    const { status } = await connected(second.address, ({ workflow }) =>
      workflow.getHandle('kept').describe(),
    );
    assert.equal(status.name, 'RUNNING');
  });

  it('gives data of an earlier release the search attributes that it lacks', async () => {
    const dbFile = join(dir, 'temporal.db');
    const attributes = ({ operatorService }: Connection) =>
      operatorService.listSearchAttributes({ namespace: 'default' });
    const first = await start({ dbFile });
    await connected(first.address, async (_client, connection) => {
      const { operatorService } = connection;
      await operatorService.removeSearchAttributes({ namespace: 'default', searchAttributes: ['State'] });
      assert.equal((await attributes(connection)).customAttributes?.State, undefined);
    });
    await first.stop();
    const second = await start({ dbFile });
    await connected(second.address, async (_client, connection) => {
      const known = Object.keys((await attributes(connection)).customAttributes ?? {});
      assert.deepEqual(known.sort(), Object.keys(searchAttributes).sort());
    });
  });

  it('keeps ended workflows as long as a cluster that temporal-config/setup.ts prepared', async () => {
    const { address } = await start();
    const seconds = await connected(address, async ({ workflowService }) => {
      const { config } = await workflowService.describeNamespace({ namespace: 'default' });
      return Number(config?.workflowExecutionRetentionTtl?.seconds);
    });
    assert.equal(seconds, RETENTION_DAYS * 86_400);
  });

  it('shows its Web UI on the given port', async () => {
    const uiPort = await steadyPort();
    const { uiUrl } = await start({ uiPort });
    assert.equal((await fetch(uiUrl!)).status, 200);
  });

  it('says in one sentence that its port or that of the UI is taken, and what to do', async () => {
    const port = await steadyPort();
    const other = createServer().listen(port, '127.0.0.1');
    try {
      await rejectsWithSentence(
        start({ port }),
        new RegExp(`^Port ${port}, .*TEMPORAL_ADDRESS=127.0.0.1:${port}`),
      );
      await rejectsWithSentence(start({ uiPort: port }), new RegExp(`^Port ${port}, .*TEMPORAL_UI_PORT`));
    } finally {
      other.close();
    }
  });

  it('says in one sentence that its data is damaged or cannot be stored there', async () => {
    const dbFile = join(dir, 'temporal.db');
    writeFileSync(dbFile, 'this is no database'.repeat(1000));
    await rejectsWithSentence(start({ dbFile }), /^The Temporal data in .* cannot be used: move it away/);
    writeFileSync(join(dir, 'file'), '');
    await rejectsWithSentence(start({ dbFile: join(dir, 'file', 'temporal.db') }), /is not a directory/);
    mkdirSync(join(dir, 'directory.db'));
    await rejectsWithSentence(start({ dbFile: join(dir, 'directory.db') }), /cannot be used|did not start/);
  });

  it('registers a namespace and search attributes repeatedly', async () => {
    const namespace = await freshNamespace();
    const connection = await Connection.connect({ address: await temporalAddress() });
    try {
      await register(connection, { namespace });
      const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
      for (const name of Object.keys(searchAttributes)) assert.ok(name in customAttributes!, name);
    } finally {
      await connection.close();
    }
  });

  it('runs with the settings that a cluster reads', async () => {
    const { pid } = await start();
    assert.match(identityOf(pid)!, / history\.timerProcessorMaxPollRPS=1000 /);
  });
});

async function connected<T>(
  address: string,
  use: (client: Client, connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await use(new Client({ connection }), connection);
  } finally {
    await connection.close();
  }
}
