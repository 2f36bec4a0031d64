import type { Bench, Figure } from '../bench.ts';
import { measureReads } from '../reads.ts';
import { replaceRules } from '../rules.ts';

const LIMITS = { floor: 100, aim: 20, better: 'less', unit: 'ms' } as const;

/** The slowest kind of read, each measured by its 95th percentile. */
export async function measureReading({ system, database, quick }: Bench): Promise<Figure[]> {
  const events = quick ? 60_000 : 5_000_000;
  await replaceRules(database, 0, 0);
  await database.query('truncate events, window_counts, window_times, event_rollups, event_totals');
  const times = await measureReads({ databaseUrl: system.databaseUrl, baseUrl: system.url, events });
  const slowest = (measure: string, holds: (name: string) => boolean): Figure => {
    const [worst] = Object.entries(times)
      .filter(([read]) => holds(read))
      .toSorted(([, a], [, b]) => b.p95 - a.p95);
    const [name, { p95 }] = worst!;
    const detail = `slowest: ${name}, at ${events.toLocaleString('en')} events`;
    return { measure: `${measure}: p95`, value: p95, ...LIMITS, detail };
  };
  const isList = (name: string) => name.startsWith('events: ');
  const isDeep = (name: string) => / page \d+$/.test(name);
  return [
    slowest('GET /events filtered, first page', (name) => isList(name) && !isDeep(name)),
    slowest('GET /events filtered, 1,000th page', isDeep),
    slowest('analytics', (name) => !isList(name)),
  ];
}
