import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Figure } from '../bench.ts';
import { burst } from './batches.ts';

const CLIENTS = 40;
/** How many MD5 hashes a payload consists of: 60 KB that cannot be compressed. */
const SUMS = 1875;
/** The API's memory counts as settled when it has not grown for this long, in milliseconds. */
const SETTLED_MS = 2_000;
const LONGEST_MS = 20_000;

/**
 * How much the API's memory grows while forty clients each begin a download of large events and then stop
 * reading.
 */
export async function measureStalledExports(bench: Bench): Promise<Figure[]> {
  if (process.platform !== 'linux') return [];
  // This also creates the day's partition.
  await burst(bench, 500);
  const events = bench.quick ? 300 : 1_200;
  await bench.database.query(
    `insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
      select gen_random_uuid(), now(), 'large', 'info', 'large', jsonb_build_object('text', (
        select string_agg(md5(random()::text || i || j), '') from generate_series(1, $2::int) j)), now()
      from generate_series(1, $1::int) i`,
    [events, SUMS],
  );
  const before = resident(bench);
  const sockets: Socket[] = [];
  try {
    const answers = Array.from({ length: CLIENTS }, () => stall(bench.system.url, sockets));
    const most = await peakUntilSettled(bench);
    const begun = (await Promise.all(answers)).filter((answer) => answer.startsWith('HTTP/1.1 200')).length;
    return [
      {
        measure: `stalled exports (memory): ${CLIENTS} clients that stop reading`,
        value: most - before,
        ...{ floor: 300, aim: 100, better: 'less', unit: 'MB' },
        detail: `growth of the resident set; ${begun} downloads had begun, ${events} events of 60 KB`,
      },
    ];
  } finally {
    for (const socket of sockets) socket.destroy();
    await bench.database.query('truncate events');
  }
}

/**
 * Requests an export, reads the first bytes of the answer, and then nothing more. Resolves to those bytes, or
 * '' if there are none.
 */
function stall(baseUrl: string, sockets: Socket[]): Promise<string> {
  const { hostname, port, host } = new URL(baseUrl);
  const socket = connect(Number(port), hostname);
  sockets.push(socket);
  return new Promise((resolve) => {
    socket.on('error', () => {}).on('close', () => resolve(''));
    socket.once('data', (chunk) => {
      socket.pause();
      resolve(chunk.toString('latin1'));
    });
    socket.write(`GET /events/export HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
  });
}

/** The peak memory of the API from now until it no longer grows, in megabytes. */
async function peakUntilSettled(bench: Bench): Promise<number> {
  const begun = performance.now();
  let most = resident(bench);
  for (let grew = begun; performance.now() - Math.max(grew, begun) < SETTLED_MS; ) {
    if (performance.now() - begun > LONGEST_MS) break;
    await sleep(100);
    const now = resident(bench);
    if (now > most + 1) grew = performance.now();
    most = Math.max(most, now);
  }
  return most;
}

/** The memory of the API in megabytes, as Linux reports it. */
function resident({ system }: Bench): number {
  const status = readFileSync(`/proc/${system.pid('api')}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1000;
}
