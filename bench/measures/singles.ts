import autocannon from 'autocannon';
import type { Bench, Figure } from '../bench.ts';
import { LOAD_TYPE, payloadOf } from '../events.ts';
import { replaceRules } from '../rules.ts';
import { median } from '../table.ts';
import { burst } from './batches.ts';

const CONNECTIONS = 64;

/** The rate of single events from 64 connections, as a share of the rate of batches just before and after. */
export async function measureSingles(bench: Bench): Promise<Figure[]> {
  await replaceRules(bench.database, 1000, 20);
  const amount = bench.quick ? 5_000 : 40_000;
  const batches = bench.quick ? 10_000 : 30_000;
  await singles(bench.system.url, amount);
  const shares: number[] = [];
  const rates: number[] = [];
  let before = await burst(bench, batches);
  for (let round = 0; round < (bench.quick ? 2 : 7); round++) {
    const rate = await singles(bench.system.url, amount);
    const after = await burst(bench, batches);
    shares.push((2 * rate) / (before + after));
    rates.push(rate);
    before = after;
  }
  return [
    {
      measure: 'single-event POST, 64 connections: share of the batch rate',
      value: median(shares),
      ...{ floor: 0.14, aim: 0.3, better: 'more', unit: '' },
      detail: `${Math.round(median(rates))} events/s`,
    },
  ];
}

/**
 * Measures the rate of single events per second. They have no id, so the server gives each a new one although
 * the bytes are the same.
 */
async function singles(baseUrl: string, amount: number): Promise<number> {
  const event = { source_id: 'checkout-7', severity: 'high', event_type: LOAD_TYPE, payload: payloadOf(7) };
  const since = performance.now();
  let last = since;
  const load = autocannon({
    url: `${baseUrl}/events`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(event),
    connections: CONNECTIONS,
    amount,
  });
  // autocannon ends at its next tick, up to a second after the last answer.
  load.on('response', () => {
    last = performance.now();
  });
  const result = await load;
  if (result['2xx'] < amount)
    throw new Error(`${amount - result['2xx']} of ${amount} events were not stored`);
  return (amount * 1000) / (last - since);
}
