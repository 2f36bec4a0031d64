import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { State } from '@temporalio/worker';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { QUIET_AFTER_MS } from '../../domain/rules/watermark.ts';
import { createHealth } from '../../workers/health.ts';
import { serveMetrics } from '../../workers/metrics-server.ts';

const script = join(import.meta.dirname, '../../deploy/probe.sh');
const probe = async (port: number, path: string) => {
  try {
    await promisify(execFile)('bash', [script, String(port), path]);
    return true;
  } catch {
    return false;
  }
};

describe('the health of a worker process', () => {
  let state: State = 'RUNNING';
  let age: number | null = 0;
  const worker = { getState: () => state, options: { taskQueue: 'rules' } };
  const health = createHealth([worker as never], [{ age: () => age }]);
  let server: Awaited<ReturnType<typeof serveMetrics>>;

  before(async () => {
    const log = pino({ level: 'silent' });
    const sdk = async () => '';
    server = await serveMetrics(new Registry(), { host: '127.0.0.1', port: 0, log, health, sdk });
  });
  after(() => server.close());
  beforeEach(() => {
    state = 'RUNNING';
    age = 0;
  });

  const answers = async () => ({
    live: await probe(server.port, '/livez'),
    ready: await probe(server.port, '/readyz'),
  });

  it('is good while its queues are polled and PostgreSQL records its heartbeat', async () => {
    assert.deepEqual(await answers(), { live: true, ready: true });
  });

  it('is not ready before the first heartbeat, or without one for a while, but alive', async () => {
    age = null;
    assert.deepEqual(await answers(), { live: true, ready: false });
    age = QUIET_AFTER_MS + 1;
    assert.deepEqual(await answers(), { live: true, ready: false });
    const response = await fetch(`http://127.0.0.1:${server.port}/readyz`);
    assert.equal(await response.text(), 'PostgreSQL has not taken a heartbeat for 5 s');
  });

  it('is not alive when a queue is no longer polled', async () => {
    state = 'FAILED';
    assert.deepEqual(await answers(), { live: false, ready: false });
  });

  it('is bad if nobody answers, or if something else does', async () => {
    assert.equal(await probe(1, '/readyz'), false);
    assert.equal(await probe(server.port, '/constructor'), false);
  });
});
