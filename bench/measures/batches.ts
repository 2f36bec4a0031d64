import type { Bench, Figure } from '../bench.ts';
import { makeEvents } from '../events.ts';
import { bodiesOf, Senders } from '../load.ts';
import { replaceRules } from '../rules.ts';
import { median } from '../table.ts';

const BATCH = 500;
/** Enough connections to keep all appends busy while the next batches are collected. */
const CONNECTIONS = 8;

/** Sends one burst of batches into empty tables. Returns events per second. */
export async function burst({ system, database }: Bench, events: number): Promise<number> {
  await database.query('truncate events, window_counts, window_times, event_rollups');
  const senders = new Senders(system.url, CONNECTIONS);
  try {
    return await senders.rate(bodiesOf(makeEvents(events, Date.now()), BATCH), BATCH);
  } finally {
    senders.close();
  }
}

/** The rate of batches over HTTP, acknowledged after the commit, as a share of COPY just before and after. */
export async function measureBatches(bench: Bench): Promise<Figure[]> {
  const events = bench.quick ? 15_000 : 60_000;
  await replaceRules(bench.database, 1000, 20);
  await burst(bench, 20_000);
  const shares: number[] = [];
  const rates: number[] = [];
  let before = await bench.copy.rate();
  for (let round = 0; round < (bench.quick ? 4 : 9); round++) {
    const rate = await burst(bench, events);
    const after = await bench.copy.rate();
    shares.push((2 * rate) / (before + after));
    rates.push(rate);
    before = after;
  }
  return [
    {
      measure: 'batches of 500 over HTTP, 1,000 rules, 20 match: share of COPY',
      value: median(shares),
      ...{ floor: 0.5, aim: 0.8, better: 'more', unit: '' },
      detail: `${Math.round(median(rates))} events/s`,
    },
  ];
}
