import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addKept, edgeTimes, MOST_BESIDE, timesToKeep } from '../../../domain/rules/kept-times.ts';
import type { WindowSpec } from '../../../domain/rules/rule.ts';
import { atLeast, signalOf } from '../../../domain/rules/series.ts';
import { bucketMsOf, bucketOf, WindowCounts } from '../../../domain/rules/window.ts';

const BASE = 1_700_000_000_000;
const sorted = (times: readonly number[]) => times.toSorted((a, b) => a - b);

describe('kept times', () => {
  it('are read as they were written, including those in rows', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2 ** 31 - 1), { maxLength: 1500 }), (offsets) => {
        const times = offsets.map((offset) => BASE + offset);
        const { beside, rows, moved } = timesToKeep(times, BASE);
        const read = (text: string) => {
          const into: number[] = [];
          addKept(Buffer.from(text.slice(2), 'hex'), BASE, into);
          return into;
        };
        assert.deepEqual([...rows.flatMap((row) => read(row.times)), ...read(beside)], times);
        assert.ok(read(beside).length <= MOST_BESIDE);
        assert.equal(moved, times.length - read(beside).length);
        for (const { first, last, times: kept } of rows) {
          const all = sorted(read(kept));
          assert.deepEqual([BASE + first, BASE + last], [all[0], all.at(-1)]);
        }
      }),
      { numRuns: 60 },
    );
  });

  /** Rows of times as an index returns them from either end. */
  function ends(rows: readonly (readonly number[])[], limit: number) {
    const first = (row: readonly number[]) => Math.min(...row);
    const last = (row: readonly number[]) => Math.max(...row);
    const from = rows.toSorted((a, b) => first(a) - first(b)).slice(0, limit);
    const back = rows.toSorted((a, b) => last(b) - last(a)).slice(0, limit);
    return {
      ...{ firsts: from.flat(), firstsTo: Math.max(...from.map(first)) },
      ...{ lasts: back.flat(), lastsFrom: Math.min(...back.map(last)) },
    };
  }

  const rowsOf = fc.array(fc.array(fc.nat(30), { minLength: 1, maxLength: 6 }), {
    minLength: 1,
    maxLength: 12,
  });

  it('read from either end of a bucket are as many as requested, each once, whatever rows they are in', () => {
    fc.assert(
      fc.property(
        rowsOf,
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        (rows, limit, n) => {
          // With fewer rows than the limit, all of them are known.
          fc.pre(limit <= rows.length);
          const all = sorted(rows.flat());
          const found = edgeTimes(ends(rows, limit), n);
          if (!found) {
            assert.ok(limit < n, 'as many rows as times were enough');
            return;
          }
          const known = sorted(found);
          assert.deepEqual(known.slice(0, n), all.slice(0, n));
          assert.deepEqual(known.slice(-n), all.slice(-n));
          for (const time of new Set(known)) {
            const times = (of: readonly number[]) => of.filter((other) => other === time).length;
            assert.ok(times(known) <= times(all), `${time} twice`);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('decide windows like all times would if a bucket has more than the threshold', () => {
    const windowMs = 600_000;
    const bucketMs = bucketMsOf(windowMs);
    const crowded = fc.tuple(fc.nat(30), fc.array(fc.nat(bucketMs * 2), { minLength: 1, maxLength: 12 }));
    const cases = fc.record({
      groups: fc.array(crowded, { minLength: 1, maxLength: 4 }),
      rest: fc.array(fc.nat(windowMs * 2), { maxLength: 6 }),
      threshold: fc.integer({ min: 1, max: 6 }),
      less: fc.nat(5),
      from: fc.nat(windowMs * 3),
    });
    fc.assert(
      fc.property(cases, ({ groups, rest, threshold, less, from }) => {
        const spec: WindowSpec = {
          ...{ windowMs, bucketMs, threshold, forMs: 0, keepFiringMs: 0 },
          recovery: Math.max(1, threshold - less),
        };
        const offsets = [...groups.flatMap(([at, some]) => some.map((ms) => at * bucketMs + ms)), ...rest];
        const all = new Map<number, number[]>();
        for (const at of sorted(offsets.map((offset) => BASE + offset))) {
          const bucket = bucketOf(at, bucketMs);
          all.set(bucket, [...(all.get(bucket) ?? []), at]);
        }
        const counts = new Map([...all].map(([bucket, times]) => [bucket, times.length]));
        const cut = new Map(
          [...all].map(([bucket, times]) => {
            if (times.length <= 2 * threshold) return [bucket, times];
            return [bucket, [...times.slice(0, threshold), ...times.slice(-threshold)]];
          }),
        );
        const [whole, part] = [new WindowCounts(spec, counts, all), new WindowCounts(spec, counts, cut)];
        for (const n of new Set([threshold, spec.recovery])) {
          const [some, every] = [signalOf(part, atLeast(n)), signalOf(whole, atLeast(n))];
          assert.equal(some.nextTrue(BASE + from), every.nextTrue(BASE + from), 'at least');
          assert.equal(some.nextFalse(BASE + from), every.nextFalse(BASE + from), 'below');
        }
        const at = BASE + from;
        const missing = part
          .cutEdges(at)
          .map(({ bucket, known }) => {
            const times = all.get(bucket)!.filter((time) => time >= at - windowMs && time <= at);
            return times.length - known;
          })
          .reduce((sum, n) => sum + n, 0);
        assert.equal(part.countAt(at) + missing, whole.countAt(at));
      }),
      { numRuns: 3000 },
    );
  });
});
