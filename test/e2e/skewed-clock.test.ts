import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { sql } from 'kysely';
import { connect, sqlOf } from '../../db/orm.ts';
import { startSweep } from '../../workers/sweep.ts';
import { spawnRole } from '../support/processes.ts';
import { freshDatabase } from '../support/servers.ts';
import { silent } from '../support/stage/log.ts';
import { waitFor } from '../support/wait-for.ts';

const preload = join(import.meta.dirname, '../support/skewed-clock.mjs');

describe('an API process whose clock is wrong', () => {
  for (const seconds of [-60, 60]) {
    it(`by ${seconds} s counts as alive, and the watermark advances`, async () => {
      const database = await freshDatabase();
      const orm = await connect(database.url, 4);
      const api = await spawnRole('api/main.ts', [], {
        ...{ DATABASE_URL: database.url, TEMPORAL_ADDRESS: '127.0.0.1:1', PORT: '0', CHANNELS: '' },
        ...{ NODE_OPTIONS: `--import=${preload}`, CLOCK_SKEW_MS: String(seconds * 1000) },
      });
      const sweep = startSweep({ orm, client: undefined as unknown as Client, clock: Date.now, log: silent });
      const behind = async () => {
        const { rows } = await sql<{ behind: number }>`
          select (extract(epoch from clock_timestamp()) * 1000 - value)::float8 as behind from watermark`.execute(
          sqlOf(orm),
        );
        return rows[0]!.behind;
      };
      try {
        const url = await waitFor(() => /listening on (http:\/\/[\d.:]+)/.exec(api.output())?.[1], {
          what: 'the API to listen',
        });
        await waitFor(async () => (await behind()) < 4_000, { what: 'the watermark to follow the clock' });
        assert.ok((await behind()) > 0, 'it is not ahead of the clock');
        const status = (await (await fetch(`${url}/status`)).json()) as {
          at: string;
          processes: { role: string; alive: boolean }[];
        };
        assert.deepEqual(
          status.processes.map(({ role, alive }) => [role, alive]),
          [['api', true]],
        );
        assert.ok(Math.abs(Date.parse(status.at) - Date.now()) < 10_000, 'its status is of the shared clock');
      } finally {
        await sweep.stop();
        api.kill('SIGKILL');
        await api.exited;
        await orm.close(true);
        await database.drop();
      }
    });
  }
});
