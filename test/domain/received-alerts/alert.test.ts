import assert from 'node:assert/strict';
import fc from 'fast-check';
import { receivedSeverity } from '../../../domain/events/severity.ts';
import { type KnownAlert, NEVER, type ReceivedAlert } from '../../../domain/received-alerts/alert.ts';
import { judgeReceived } from '../../../domain/received-alerts/episodes.ts';
import { alertmanagerKey, pagerdutyKey } from '../../../domain/received-alerts/key.ts';
import { applyMessage } from '../../../domain/received-alerts/message.ts';
import type { Applied } from '../../../domain/received-alerts/single-sender.ts';
import { firing, HOLDS_MS, paged, resolved } from '../../support/alerts.ts';

const T = 1_000_000_000;

/** Messages in the order of arrival, each with its time of receipt. */
function receive(
  ...messages: readonly [at: number, message: ReceivedAlert][]
): Applied & { all: KnownAlert[] } {
  let last: Applied = { outcome: 'ignored', alert: null, past: null, changed: false, reworded: false };
  const all: KnownAlert[] = [];
  for (const [at, message] of messages) {
    last = applyMessage(last.alert, message, at, 'ada');
    if (last.past) all.push(last.past);
  }
  if (last.alert) all.push(last.alert);
  return { ...last, all };
}
const span = ({ alert }: Applied) => alert && [alert.starts_at - T, alert.ends_at - T, alert.ends];

describe('messages about one alert', () => {
  it('begin an episode', () => {
    const merged = receive([T, firing(T)]);
    assert.deepEqual(
      [merged.outcome, merged.changed, span(merged)],
      ['opened', true, [0, HOLDS_MS, 'given']],
    );
  });

  it('move its end later and update its texts, without changing its standing', () => {
    const merged = receive(
      [T, firing(T)],
      [T + 60_000, firing(T, { ends_at: T + 300_000, summary: 'fuller' })],
    );
    assert.deepEqual(span(merged), [0, 300_000, 'given']);
    assert.deepEqual([merged.outcome, merged.changed, merged.reworded], ['refreshed', false, true]);
  });

  it('never move a time-out or a given end earlier', () => {
    for (const ends_explicit of [true, false]) {
      const merged = receive(
        [T, firing(T, { ends_explicit, ends_at: T + 300_000 })],
        [T + 1, firing(T, { ends_explicit, ends_at: T + 200_000 })],
      );
      assert.equal(merged.alert?.ends_at, T + 300_000);
      assert.equal(merged.changed, false);
    }
  });

  it('let a given end take precedence over a time-out, even a later one', () => {
    const merged = receive(
      [T, firing(T, { ends_explicit: false, ends_at: T + 300_000 })],
      [T + 1, firing(T, { ends_at: T + 200_000 })],
    );
    assert.deepEqual([span(merged), merged.changed], [[0, 200_000, 'given'], true]);
  });

  it('let the earliest start count, but not before the end of the previous episode', () => {
    assert.deepEqual(span(receive([T, firing(T)], [T + 1, firing(T - 500, { ends_at: T + 100 })])), [
      -500,
      HOLDS_MS,
      'given',
    ]);
    const second = receive(
      [T, firing(T)],
      [T + 1000, resolved(T, T + 1000)],
      [T + 3000, firing(T + 3000)],
      [T + 3001, firing(T - 500, { ends_at: T + HOLDS_MS })],
    );
    assert.equal(second.alert?.starts_at, T + 1000);
  });

  it('end it when its sender says', () => {
    const merged = receive([T, firing(T)], [T + 5000, resolved(T, T + 4000)]);
    assert.deepEqual([merged.outcome, span(merged)], ['resolved', [0, 4000, 'resolved']]);
    const byTrigger = receive([T, firing(T)], [T + 5000, firing(T, { ends_at: T + 4000 })]);
    assert.deepEqual(span(byTrigger), [0, 4000, 'resolved'], 'a trigger whose end has come resolves');
  });

  it('end no alert that is unknown, over, or began after that end', () => {
    assert.equal(receive([T, resolved(T - 10, T)]).alert, null);
    const twice = receive(
      [T, firing(T)],
      [T + 5000, resolved(T, T + 4000)],
      [T + 9000, resolved(T, T + 4000)],
    );
    assert.deepEqual([twice.outcome, twice.changed], ['ignored', false]);
    const older = receive(
      [T, firing(T)],
      [T + 5000, resolved(T, T + 4000)],
      [T + 6000, firing(T + 6000)],
      [T + 9000, resolved(T, T + 4000)],
    );
    assert.deepEqual([older.outcome, older.alert?.ends], ['ignored', 'given']);
  });

  it('begin another episode after its end', () => {
    const again = receive([T, firing(T)], [T + 5000, resolved(T, T + 4000)], [T + 6000, firing(T + 5500)]);
    assert.deepEqual(
      again.all.map(({ starts_at, ends_at }) => [starts_at - T, ends_at - T]),
      [
        [0, 4000],
        [5500, 5500 + HOLDS_MS],
      ],
    );
  });

  it('of a second sender continue after the first one’s end, which repeated resolves of the first do not change', () => {
    const merged = receive(
      [T, firing(T)],
      [T + 1, firing(T + 1)],
      [T + 5000, resolved(T, T + 4000)],
      [T + 6000, firing(T + 1, { ends_at: T + 6000 + HOLDS_MS })],
      [T + 7000, resolved(T, T + 4000)],
    );
    assert.deepEqual(span(merged), [4000, 6000 + HOLDS_MS, 'given']);
    assert.equal(merged.outcome, 'ignored');
  });

  it('continue the same episode after a time-out, because nobody resolved the alert', () => {
    const late = T + 2 * HOLDS_MS;
    const merged = receive([T, firing(T)], [late, firing(T, { ends_at: late + HOLDS_MS })]);
    assert.deepEqual([merged.past, merged.changed, merged.alert?.starts_at], [null, true, T]);
  });

  it('of PagerDuty keep it active until it is resolved, however long that takes', () => {
    const merged = receive([T, paged('trigger', T)], [T + 1e10, paged('trigger', T + 1e10)]);
    assert.deepEqual([merged.alert?.starts_at, merged.alert?.ends_at, merged.changed], [T, NEVER, false]);
    assert.equal(
      applyMessage(merged.alert, paged('resolve', T + 2e10), T + 2e10, 'ada').alert?.ends_at,
      T + 2e10,
    );
  });

  it('of PagerDuty end it in the order of arrival, whatever the clocks of the receiving processes', () => {
    const merged = receive([T, paged('trigger', T)], [T - 7, paged('resolve', T - 7)]);
    assert.deepEqual([merged.outcome, span(merged)], ['resolved', [0, 1, 'resolved']]);
    assert.equal(applyMessage(merged.alert, paged('resolve', T - 3), T - 3, 'ada').outcome, 'ignored');
  });

  it('acknowledge an episode once, and not the next one', () => {
    const merged = receive(
      [T, paged('trigger', T)],
      [T + 1, paged('acknowledge', T + 1)],
      [T + 2, paged('acknowledge', T + 2)],
    );
    assert.deepEqual([merged.alert?.acknowledged_at, merged.changed], [T + 1, false]);
    const next = receive(
      [T, paged('trigger', T)],
      [T + 1, paged('acknowledge', T + 1)],
      [T + 2, paged('resolve', T + 2)],
      [T + 3, paged('trigger', T + 3)],
    );
    assert.equal(next.alert?.acknowledged_at, null);
  });

  const offset = fc.integer({ min: -600_000, max: 600_000 });
  const message = fc.record({
    kind: fc.constantFrom('given', 'timeout', 'resolve', 'acknowledge'),
    start: offset,
    length: fc.integer({ min: 0, max: 600_000 }),
    pause: fc.integer({ min: 0, max: 200_000 }),
  });
  const stream = fc.array(message, { maxLength: 30 }).map((drawn) => {
    let at = T;
    return drawn.map(({ kind, start, length, pause }): [number, ReceivedAlert] => {
      at += pause;
      const starts_at = T + start;
      if (kind === 'acknowledge') return [at, paged('acknowledge', at)];
      const action = kind === 'resolve' ? 'resolve' : 'trigger';
      return [
        at,
        firing(starts_at, { action, ends_at: starts_at + length, ends_explicit: kind !== 'timeout' }),
      ];
    });
  });

  it('make episodes that have a length, follow each other and never overlap', () => {
    fc.assert(
      fc.property(stream, (messages) => {
        const { all } = receive(...messages);
        for (const [i, { starts_at, ends_at }] of all.entries()) {
          assert.ok(starts_at < ends_at);
          if (i > 0) assert.ok(all[i - 1]!.ends_at <= starts_at);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('have no effect when they are repeated', () => {
    fc.assert(
      fc.property(stream, (messages) => {
        let known: KnownAlert | null = null;
        for (const [at, one] of messages) {
          const once: Applied = applyMessage(known, one, at, 'ada');
          const twice = applyMessage(once.alert, one, at, 'ada');
          assert.deepEqual(twice.alert, once.alert);
          assert.deepEqual([twice.changed, twice.reworded, twice.past], [false, false, null]);
          known = once.alert;
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('of one episode have the same result in any order, except for the texts', () => {
    const refresh = fc.record({
      start: fc.integer({ min: -1000, max: 0 }),
      length: fc.integer({ min: 2000, max: 600_000 }),
    });
    fc.assert(
      fc.property(
        fc.array(refresh, { minLength: 1 }),
        fc.boolean(),
        fc.func(fc.nat()),
        (drawn, ends_explicit, rank) => {
          const messages = drawn.map(({ start, length }): [number, ReceivedAlert] => [
            T,
            firing(T + start, { ends_at: T + length, ends_explicit }),
          ]);
          const shuffled = [...messages].sort((a, b) => rank(a) - rank(b));
          assert.deepEqual(span(receive(...shuffled)), span(receive(...messages)));
        },
      ),
    );
  });
});

describe('when a group of received alerts fired', () => {
  const one = (starts_at: number, ends_at: number, ends: KnownAlert['ends'] = 'given') => ({
    starts_at,
    ends_at,
    ends,
  });
  const judged = (
    alerts: ReturnType<typeof one>[],
    openUpTo: number,
    endUpTo = openUpTo,
    effectiveAt: number | null = null,
  ) => {
    const { episodes, standing } = judgeReceived(alerts, effectiveAt, { openUpTo, endUpTo });
    return [episodes.map(({ since, opened_at, ended_at }) => [since, opened_at, ended_at]), standing];
  };

  it('is the time in which any of them did', () => {
    const alerts = [one(10, 20, 'resolved'), one(15, 40), one(60, 70)];
    assert.deepEqual(judged(alerts, 100), [
      [
        [10, 10, 40],
        [60, 60, 70],
      ],
      { state: 'ok' },
    ]);
  });

  it('ends with the last of them, by the watermark unless they were resolved', () => {
    assert.deepEqual(judged([one(10, 40)], 50, 30), [
      [[10, 10, null]],
      { state: 'firing', since: 10, due: 40 },
    ]);
    assert.deepEqual(judged([one(10, 40, 'resolved')], 50, 30), [[[10, 10, 40]], { state: 'ok' }]);
    assert.deepEqual(judged([one(10, 40), one(20, 45)], 30), [
      [[10, 10, null]],
      { state: 'firing', since: 10, due: 45 },
    ]);
  });

  it('begins with the revision of its rule at the earliest, and not before its start', () => {
    assert.deepEqual(judged([one(10, 15), one(16, 40)], 30, 30, 20), [
      [[16, 20, null]],
      { state: 'firing', since: 20, due: 40 },
    ]);
    assert.deepEqual(judged([one(50, 60)], 30), [[], { state: 'pending', since: 50, due: 50 }]);
  });
});

describe('the identity of a received alert', () => {
  it('is its label set in any order, without empty values', () => {
    const key = alertmanagerKey({ a: '1', b: '2' });
    assert.match(key, /^[0-9a-f]{32}$/);
    assert.equal(alertmanagerKey({ b: '2', a: '1', c: '' }), key);
    assert.notEqual(alertmanagerKey({ a: '1', b: '3' }), key);
    assert.notEqual(alertmanagerKey({ a: '1","b":"2' }), alertmanagerKey({ a: '1', b: '2' }));
  });

  it('is PagerDuty’s dedup key within one ingest key', () => {
    assert.notEqual(pagerdutyKey('one', 'disk'), pagerdutyKey('other', 'disk'));
  });

  it('is independent of its severity, which is converted to Tocsin’s', () => {
    const known = {
      critical: 'critical',
      error: 'high',
      Warning: 'medium',
      info: 'info',
      '': 'medium',
      page: 'page',
    };
    for (const [given, ours] of Object.entries(known)) assert.equal(receivedSeverity(given), ours);
    assert.equal(receivedSeverity(undefined), 'medium');
    assert.equal(receivedSeverity(`x${'😀'.repeat(40)}`), `x${'😀'.repeat(15)}`, 'never half a character');
  });
});
