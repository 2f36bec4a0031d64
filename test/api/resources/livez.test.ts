import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Role, spawnRole } from '../../support/processes.ts';
import { waitFor } from '../../support/wait-for.ts';

const root = join(import.meta.dirname, '../../..');

/** Runs the health check of the compose file: it succeeds if the process soon answers 200. */
async function probe(port: string, path: string): Promise<boolean> {
  try {
    await promisify(execFile)('bash', [join(root, 'deploy/probe.sh'), port, path]);
    return true;
  } catch {
    return false;
  }
}

describe('/livez of an API process', () => {
  let role: Role;
  let port: string;
  before(async () => {
    role = await spawnRole('api/main.ts', [], {
      NODE_OPTIONS: `--import=${join(root, 'test/support/blockable.mjs')}`,
      // Nobody listens at this port.
      DATABASE_URL: 'postgresql://tocsin:secret@127.0.0.1:1/tocsin',
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      PORT: '0',
    });
    const url = () => /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(role.output())?.[1];
    port = await waitFor(url, { what: 'it to listen', timeoutMs: 50_000 });
  });
  after(async () => {
    role.kill('SIGKILL');
    await role.exited;
  });

  it('answers 200 while PostgreSQL and Temporal are down, and /readyz does not', async () => {
    assert.equal(await probe(port, '/readyz'), false);
    assert.equal(await probe(port, '/livez'), true);
    assert.equal(await probe(port, '/health'), true);
  });

  it('gives no answer while its event loop is blocked', async () => {
    role.kill('SIGUSR2');
    await waitFor(async () => !(await probe(port, '/livez')), { what: 'the probe to fail' });
    assert.equal(await probe(port, '/livez'), false);
  });
});
