import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { expectStatus, makeProducers, overdue, pauseProducers, statusOf } from '../support/load.ts';
import { waitFor } from '../support/wait-for.ts';
import { assertGapless } from './record.ts';
import { stage } from './stage.ts';

const sources = Array.from({ length: 7 }, (_, i) => `throttled-${i + 1}`);

/** How many batches of one producer may be in flight. This also limits the length of the queue. */
const MOST_IN_FLIGHT = 4;

describe('a limit of two batches a second', function () {
  this.timeout(180_000);
  const there = stage(['api', 'ingest']);
  const statuses = () => Promise.all(sources.map((id) => statusOf(there.system, id)));
  const residentMb = () =>
    Number(execFileSync('ps', ['-o', 'rss=', '-p', String(there.system.pid('ingest'))])) / 1024;

  it('makes producers fall behind and report that, with a bounded backlog and constant memory, until it is lifted', async () => {
    const { system } = there;
    const limit = (activities_per_second: number | null) =>
      expectStatus(200, system.call('PUT', '/backpressure', { activities_per_second }));
    // 35 batches per second are due.
    const settings = { rate_per_second: 10, tick_ms: 200 };
    await makeProducers(
      system,
      sources.map((id) => ({ id, settings })),
    );
    await waitFor(async () => (await statuses()).every(({ emitted }) => emitted > 10), {
      ...{ what: 'producers to run', timeoutMs: 60_000 },
    });

    await limit(2);
    const samples = { inFlight: [] as number[], backlog: [] as number[], memory: [] as number[] };
    await waitFor(
      async () => {
        const now = await statuses();
        const { body } = await system.call<{ backlog: number; activities_per_second: number }>(
          ...(['GET', '/backpressure'] as const),
        );
        assert.equal(body.activities_per_second, 2);
        samples.backlog.push(body.backlog);
        samples.inFlight.push(...now.map(({ in_flight }) => in_flight));
        samples.memory.push(residentMb());
        return now.every(({ behind_ms }) => behind_ms > 5_000);
      },
      { what: 'every producer to say that it is behind', timeoutMs: 90_000, everyMs: 250 },
    );
    assert.equal(Math.max(...samples.inFlight), MOST_IN_FLIGHT);
    const deepest = Math.max(...samples.backlog);
    assert.ok(deepest > 7 && deepest <= MOST_IN_FLIGHT * sources.length, `${deepest} batches wait`);
    const grown = Math.max(...samples.memory) - samples.memory[0]!;
    assert.ok(grown < 60, `the ingest worker grew by ${grown} MB`);

    await limit(null);
    await waitFor(async () => (await statuses()).every((status) => overdue(status) < 1_000), {
      ...{ what: 'producers to catch up', timeoutMs: 60_000 },
    });
    await pauseProducers(system, sources);
    for (const id of sources) {
      const { next_sequence, dead_lettered } = await statusOf(system, id);
      assert.equal(dead_lettered, 0);
      await assertGapless(system, id, next_sequence);
    }
  });
});
