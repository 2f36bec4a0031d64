import assert from 'node:assert/strict';
import { spawnRole } from '../support/processes.ts';
import { freshDatabase, freshNamespace, temporalAddress } from '../support/servers.ts';
import { waitFor } from '../support/wait-for.ts';

/** pino's number for warnings. */
const WARN = 40;

describe('the log of a worker that starts and stops normally', () => {
  let env: Record<string, string>;
  let drop: () => Promise<void>;

  before(async () => {
    const [address, database, namespace] = await Promise.all([
      temporalAddress(),
      freshDatabase(),
      freshNamespace(),
    ]);
    drop = database.drop;
    env = { DATABASE_URL: database.url, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace };
  });
  after(async () => await drop?.());

  // One queue of `ingest` and the queue of `notify` have only activities. The SDK warns about that.
  for (const name of ['ingest', 'notify']) {
    it(`is JSON without a warning: ${name}`, async function () {
      this.timeout(180_000);
      const role = await spawnRole('workers/main.ts', [name], { ...env, LOG_LEVEL: 'info' });
      await waitFor(() => role.output().includes('"state":"RUNNING"'), {
        what: 'the worker to run',
        timeoutMs: 120_000,
      });
      role.kill('SIGTERM');
      await role.exited;
      const lines = role.output().trim().split('\n');
      assert.match(lines.at(-1)!, /"worker stopped"/);
      const levelOf = (line: string) => (JSON.parse(line) as { level: number }).level;
      assert.deepEqual(
        lines.filter((line) => !(levelOf(line) < WARN)),
        [],
      );
    });
  }
});
