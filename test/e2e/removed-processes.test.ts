import assert from 'node:assert/strict';
import { System } from '../support/system.ts';
import { waitFor } from '../support/wait-for.ts';

interface Status {
  impaired: string[];
  processes: { id: string; role: string; alive: boolean; ended: boolean }[];
  deaf_spans: { name: string; reason: string }[];
}

describe('an ingest worker that is removed', function () {
  this.timeout(300_000);
  let system: System;
  before(async () => {
    system = await System.start(['api', 'rules', 'ingest']);
  });
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(system.complaints());
  });
  after(() => system?.stop());

  const status = async () => (await system.call<Status>('GET', '/status')).body;
  const workers = async () => (await status()).processes.filter(({ role }) => role === 'ingest');
  const watermark = async (column: 'value' | 'computed_at') =>
    (await system.query<{ at: number }>(`select ${column}::float8 as at from watermark`))[0]!.at;
  const databaseNow = async () =>
    (await system.query<{ at: number }>('select (extract(epoch from now()) * 1000)::float8 as at'))[0]!.at;
  const advances = async (what: string) => {
    const now = await databaseNow();
    await waitFor(async () => (await watermark('value')) > now, { what, timeoutMs: 120_000 });
  };
  /** Checks that the watermark does not pass `at` while the sweep runs for so long. */
  const stands = async (at: number, seconds: number) => {
    const since = await databaseNow();
    await waitFor(async () => (await watermark('computed_at')) > since + seconds * 1000, {
      what: 'the sweep to have looked for long',
      timeoutMs: 120_000,
    });
    assert.ok((await watermark('value')) <= at, 'the watermark stands');
  };
  const retire = (id: string) => system.call<{ detail?: string }>('POST', `/processes/${id}/retire`);

  it('in order, does not hold the watermark while no producer runs', async () => {
    await advances('the watermark to move');
    const { exited } = await system.terminate('ingest');
    assert.equal((await exited).code, 0);
    const [worker] = await workers();
    assert.deepEqual([worker?.alive, worker?.ended], [false, true]);
    await advances('the watermark to move without it');
    await system.start('ingest');
  });

  it('with kill -9, holds the watermark until somebody retires it, as /status says', async () => {
    await waitFor(async () => (await workers()).some(({ alive }) => alive), { what: 'the new one' });
    await advances('the watermark to move');
    const { id } = (await workers()).find(({ alive }) => alive)!;
    assert.equal((await retire(id)).status, 409);
    await system.kill('ingest');
    await stands(await databaseNow(), 30);
    const path = await waitFor(
      async () =>
        (await status()).impaired.flatMap((text) => /is dead and holds.*POST (\S+)/.exec(text)?.[1] ?? [])[0],
      { what: '/status to name it', timeoutMs: 120_000 },
    );
    assert.equal(path, `/processes/${id}/retire`);
    const answers = await Promise.all([system.call('POST', path), system.call('POST', path)]);
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [200, 200],
    );
    await advances('the watermark to move once it is retired');
    const { deaf_spans } = await status();
    assert.ok(deaf_spans.some(({ name, reason }) => name === 'ingest' && reason === 'lost'));
    await system.start('ingest');
  });

  it('by mistake while it only hung, is live again when it comes back', async () => {
    await waitFor(async () => (await workers()).some(({ alive }) => alive), { what: 'the new one' });
    const { id } = (await workers()).find(({ alive }) => alive)!;
    const pid = system.pid('ingest');
    process.kill(pid, 'SIGSTOP');
    try {
      await waitFor(async () => (await retire(id)).status === 200, { what: 'it to be quiet for long' });
      assert.ok(!(await workers()).some((one) => one.id === id));
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await waitFor(async () => (await workers()).some((one) => one.id === id && one.alive), {
      what: 'it to count again',
    });
    const { deaf_spans } = await status();
    assert.ok(deaf_spans.some(({ name, reason }) => name === 'ingest' && reason === 'gap'));
    await advances('the watermark to move');
  });
});
