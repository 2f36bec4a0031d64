import assert from 'node:assert/strict';
import { makeRule, sendBurst } from '../support/load.ts';
import { waitFor } from '../support/wait-for.ts';
import { assertExact, incidentsOf, messagesByNotice, settled } from './record.ts';
import { stage } from './stage.ts';

const WINDOW_MS = 3_000;
const EVENTS = 500;

describe('bursts', function () {
  this.timeout(180_000);
  const there = stage(['api', 'rules', 'incidents', 'notify']);

  it('are an incident each, from the fifth event until the window is empty, even if it was ten minutes ago', async () => {
    const { system, hook } = there;
    const rule = await makeRule(system, {
      name: 'Five are too many',
      event_type: 'burst',
      threshold_count: 5,
      recovery_threshold: 1,
      window_seconds: WINDOW_MS / 1000,
    });
    const incidents = () => incidentsOf(system, rule);
    const resolved = (count: number) =>
      waitFor(async () => (await incidents()).filter(({ state }) => state === 'resolved').length === count, {
        ...{ what: `${count} resolved incidents`, timeoutMs: 60_000 },
      });
    const starts: number[] = [];
    const burst = async (ago = EVENTS) => {
      const start = Date.now() - ago;
      starts.push(start);
      await sendBurst(
        system,
        'burst',
        Array.from({ length: EVENTS }, (_, i) => start + i),
      );
    };

    await burst();
    await waitFor(async () => (await incidents()).length === 1, { what: 'the first incident' });
    await resolved(1);
    await waitFor(() => Date.now() > starts[0]! + EVENTS + WINDOW_MS + EVENTS, { what: 'an empty window' });
    await burst();
    await resolved(2);
    await burst(600_000);
    await resolved(3);
    await settled(system);

    const recorded = await incidents();
    assert.deepEqual(
      recorded.map(({ opened_at, ended_at, late, metadata }) => ({ opened_at, ended_at, late, metadata })),
      [starts[2]!, starts[0]!, starts[1]!].map((start, i) => ({
        opened_at: start + 4,
        ended_at: start + EVENTS - 1 + WINDOW_MS + 1,
        late: i === 0,
        metadata: { observed_count: 5, window_seconds: WINDOW_MS / 1000 },
      })),
    );
    const messages = messagesByNotice(hook.received);
    assert.deepEqual(
      [...messages.keys()].sort(),
      recorded.flatMap(({ id }) => [`opened ${id}`, `resolved ${id}`]).sort(),
    );
    for (const [notice, ids] of messages) assert.equal(ids.length, 1, notice);
  });

  it('during ten minutes in which no rule is judged are all recorded afterwards', async () => {
    const { system, hook } = there;
    const rule = await makeRule(system, {
      ...{ name: 'While nobody looked', event_type: 'unseen', threshold_count: 5, window_seconds: 1 },
    });
    await system.kill('rules');
    let last = 0;
    const burst = (start: number) => {
      const times = Array.from({ length: 8 }, (_, i) => start + i * 10);
      last = times.at(-1)!;
      return sendBurst(system, 'unseen', times, 4);
    };
    const now = Date.now();
    for (let ago = 600; ago >= 120; ago -= 60) await burst(now - ago * 1000);
    for (let n = 0; n < 4; n++) {
      await burst(Date.now() - 100);
      await waitFor(() => Date.now() > last + 1_200, { what: 'the window to empty' });
    }
    assert.deepEqual(await incidentsOf(system, rule), []);

    await system.start('rules');
    await waitFor(async () => (await incidentsOf(system, rule)).length === 13, {
      ...{ what: 'an incident for every burst', timeoutMs: 90_000 },
    });
    await settled(system);
    assert.equal(await assertExact(system, rule), 13);
    const recorded = await incidentsOf(system, rule);
    assert.deepEqual(
      recorded.map(({ late }) => late),
      [...Array(9).fill(true), ...Array(4).fill(false)],
    );
    const messages = messagesByNotice(hook.received);
    for (const { id } of recorded) assert.equal(messages.get(`opened ${id}`)?.length, 1);
  });
});
