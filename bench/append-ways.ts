import { parseArgs } from 'node:util';
import type pg from 'pg';
import { CopyBaseline } from './copy-baseline.ts';
import { cpuOf } from './cpu.ts';
import { makeEvents } from './events.ts';
import { connected, migrate, withPostgres } from './postgres.ts';
import { median, printTable } from './table.ts';
import { WAYS, type Way } from './ways/ways.ts';

/**
 * `npm run bench:append` compares ways to store a batch of new events in PostgreSQL. Each batch is committed.
 * Results are shares of what COPY into a similar table reaches at the same time. docs/adr/0008 has the
 * conclusions.
 */
const { values: given } = parseArgs({
  options: { events: { type: 'string', default: '20000' }, rounds: { type: 'string', default: '5' } },
});
const EVENTS = Number(given.events);
const ROUNDS = Number(given.rounds);
const CONFIGURATIONS = [
  { batch: 500, connections: 1 },
  { batch: 2000, connections: 1 },
  { batch: 500, connections: 2 },
  { batch: 2000, connections: 2 },
];

interface Taken {
  share: number;
  nodeMicros: number;
  postgresMicros: number;
}

async function measure(clients: readonly pg.Client[], pids: readonly number[], way: Way, batch: number) {
  const now = Date.now();
  const batches: ReturnType<typeof makeEvents>[] = [];
  for (let made = 0; made < EVENTS; made += batch) batches.push(makeEvents(batch, now));
  let stored = 0;
  const node = process.cpuUsage();
  const before = cpuOf(pids);
  const since = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      for (let events = batches.pop(); events; events = batches.pop()) {
        const added = await way.insert(client, events, now);
        stored += added;
      }
    }),
  );
  const seconds = (performance.now() - since) / 1000;
  const { user, system } = process.cpuUsage(node);
  if (stored < EVENTS) throw new Error(`${way.name} stored ${stored} of ${EVENTS}`);
  return {
    rate: stored / seconds,
    nodeMicros: (user + system) / stored,
    postgresMicros: (cpuOf(pids) - before) / stored,
  };
}

await withPostgres(async (url) => {
  await migrate(url);
  const admin = await connected(url);
  const baseline = await CopyBaseline.prepare(url, EVENTS);
  const rows: unknown[][] = [];
  const rates: number[] = [];
  for (const { batch, connections } of CONFIGURATIONS) {
    const taken = new Map<Way, Taken[]>(WAYS.map((way) => [way, []]));
    const clients = await Promise.all(
      WAYS.map(async ({ prepare }) =>
        Promise.all(
          Array.from({ length: connections }, async () => {
            const client = await connected(url);
            if (prepare) await client.query(prepare);
            return client;
          }),
        ),
      ),
    );
    const pids = clients.map((some) =>
      some.map((client) => (client as unknown as { processID: number }).processID),
    );
    for (let round = 0; round < ROUNDS; round++) {
      let copy = await baseline.rate();
      for (const [i, way] of WAYS.entries()) {
        await admin.query('truncate events');
        const { rate, ...cpu } = await measure(clients[i]!, pids[i]!, way, batch);
        const next = await baseline.rate();
        // The machine's speed changes from second to second, so each measurement is compared with COPY just
        // before and after it.
        taken.get(way)!.push({ share: rate / ((copy + next) / 2), ...cpu });
        rates.push(next);
        copy = next;
      }
    }
    await Promise.all(clients.flat().map((client) => client.end()));
    for (const [{ name }, all] of taken) {
      const middle = (of: keyof Taken) => median(all.map((one) => one[of]));
      rows.push([
        name,
        batch,
        connections,
        middle('share').toFixed(2),
        middle('nodeMicros').toFixed(1),
        middle('postgresMicros').toFixed(1),
      ]);
    }
  }
  console.log(
    `COPY: ${Math.round(median(rates)).toLocaleString('en')} rows/s, one connection, ${EVENTS} rows a statement`,
  );
  printTable(['way', 'batch', 'conns', 'of COPY', 'node µs/event', 'PostgreSQL µs/event'], rows);
  await baseline.close();
  await admin.end();
});
