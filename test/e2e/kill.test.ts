import assert from 'node:assert/strict';
import {
  insistentSender,
  makeProducers,
  makeRule,
  pauseProducers,
  sendBurst,
  statusOf,
} from '../support/load.ts';
import type { PartName } from '../support/system.ts';
import { waitFor } from '../support/wait-for.ts';
import { assertExact, assertGapless, incidentsOf, messagesByNotice, settled } from './record.ts';
import { stage } from './stage.ts';
import { whileWaiting } from './while-waiting.ts';

const burst = {
  every_seconds: 8,
  length_seconds: 2,
  factor: 10,
  event_type: 'overload',
  severity: 'critical',
};

/**
 * 42 events per second, and 80 with bursts. Three events of type `overload` open an incident about every
 * eight seconds.
 */
const producers = [6, 6, 6, 6, 6, 6, 6].map((rate_per_second, i) => ({
  id: `source-${i + 1}`,
  settings: { rate_per_second, tick_ms: 500, seed: i, ...(i % 2 === 1 ? { burst } : {}) },
}));

/**
 * During appends: with three waiting transactions, both the API and the ingest worker are appending, because
 * each appends at most two at once.
 */
const appending = { table: 'events', transactions: 3 };
/** When batches are stored and nobody was signalled yet. */
const stored = { table: 'producers', transactions: 2 };
const killings: [PartName, typeof stored][] = [
  ['ingest', stored],
  ['api', appending],
  ['temporal', stored],
  ['postgres', appending],
  ['rules', appending],
];

describe('kill -9', function () {
  this.timeout(300_000);
  const there = stage();
  const storedEvents = async () => {
    const [count] = await there.system.query<{ n: number }>('select count(*)::int as n from events');
    return count!.n;
  };
  const flowsOn = async () => {
    const before = await waitFor(storedEvents, { what: 'PostgreSQL', timeoutMs: 60_000 });
    await waitFor(async () => (await storedEvents()) >= before + 150, {
      ...{ what: 'events to flow on', timeoutMs: 90_000, everyMs: 100 },
    });
  };

  it('of any part during full operation loses and duplicates no event and no incident', async () => {
    const { system, hook } = there;
    const rules = [
      await makeRule(system, {
        ...{ name: 'Overload of one source', event_type: 'overload', group_by: ['source_id'] },
        ...{ threshold_count: 30, window_seconds: 3 },
      }),
      await makeRule(system, {
        ...{ name: 'Latency at large', event_type: 'latency_anomaly', severity: 'critical' },
        ...{ threshold_count: 22, window_seconds: 2, keep_firing_seconds: 1 },
      }),
      await makeRule(system, {
        ...{ name: 'Posted without a break', event_type: 'posted', threshold_count: 10, window_seconds: 10 },
      }),
    ];
    const ids = producers.map(({ id }) => id);
    const sender = insistentSender(system, 'posted', 50);
    await makeProducers(system, producers);
    await flowsOn();

    for (const [part, moment] of killings) {
      await whileWaiting(system, moment, () => system.kill(part));
      await system.start(part);

      await flowsOn();
    }

    await pauseProducers(system, ids);

    const posted = await sender.stop();
    await settled(system, 120_000);

    for (const id of ids) await assertGapless(system, id, (await statusOf(system, id)).next_sequence);
    const [kept] = await system.query<{ n: number }>(
      `select count(*)::int as n from events where event_type = 'posted'`,
    );
    assert.equal(kept!.n, posted);
    const counts: number[] = [];
    for (const rule of rules) counts.push(await assertExact(system, rule));

    assert.ok(counts[0]! > 3, `${counts[0]} incidents by bursts`);
    assert.equal(counts[2], 1);

    const messages = messagesByNotice(hook.received);
    for (const rule of rules) {
      for (const { id } of await incidentsOf(system, rule)) {
        for (const kind of ['opened', 'resolved']) {
          const sent = messages.get(`${kind} ${id}`) ?? [];
          assert.equal(new Set(sent).size, 1, `${kind} ${id} was sent as ${sent}`);
        }
      }
    }
  });

  it('of the rules worker between judging and recording leaves one incident and one notice', async () => {
    const { system, hook } = there;
    const rule = await makeRule(system, {
      ...{ name: 'Judged and not recorded', event_type: 'lost', threshold_count: 5, window_seconds: 2 },
    });
    const start = Date.now() - 10;
    const sent = sendBurst(
      system,
      'lost',
      Array.from({ length: 10 }, (_, i) => start + i),
    );
    await whileWaiting(system, { table: 'alert_incidents', transactions: 1 }, () => system.kill('rules'));
    await sent;
    assert.deepEqual(await incidentsOf(system, rule), []);
    await system.start('rules');
    await waitFor(async () => (await incidentsOf(system, rule)).length > 0, {
      ...{ what: 'the incident', timeoutMs: 60_000 },
    });
    await settled(system);
    assert.equal(await assertExact(system, rule), 1);
    const [incident] = await incidentsOf(system, rule);
    assert.equal(messagesByNotice(hook.received).get(`opened ${incident!.id}`)?.length, 1);
  });

  it('of the rules worker between recording and signalling leaves nobody without a notice', async () => {
    const { system, hook } = there;
    const rule = await makeRule(system, {
      ...{ name: 'Recorded and not told', event_type: 'untold', threshold_count: 5, window_seconds: 600 },
    });
    const start = Date.now() - 10;
    const sent = sendBurst(
      system,
      'untold',
      Array.from({ length: 10 }, (_, i) => start + i),
    );
    // Without Temporal it can record the incident, but cannot signal anybody.
    await whileWaiting(system, { table: 'alert_incidents', transactions: 1 }, () => system.kill('temporal'));
    await sent;
    await waitFor(async () => (await incidentsOf(system, rule)).length > 0, { what: 'the incident' });
    await system.kill('rules');
    await system.start('temporal');
    await system.start('rules');
    const [incident] = await incidentsOf(system, rule);
    // The incident is not resolved, so that nothing else causes a signal.
    await waitFor(() => messagesByNotice(hook.received).has(`opened ${incident!.id}`), {
      ...{ what: 'the notice', timeoutMs: 90_000 },
    });
    assert.equal((await incidentsOf(system, rule)).length, 1);
  });
});
