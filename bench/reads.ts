import { connect } from '../db/orm.ts';
import { DAY_MS } from '../domain/events/event.ts';
import { fillEvents, RARE_SEVERITY } from './fill.ts';
import { percentile } from './table.ts';

const ROUNDS = 30;
const WARM_UP = 8;

/** The number of the later page that is measured in addition to the first. Pages have fifty events. */
const PAGE = 1000;

/** Milliseconds of one kind of request. */
export interface ReadTimes {
  p50: number;
  p95: number;
}

/**
 * Fills an empty database with so many events over thirty days, and measures reads through the API at
 * `baseUrl`. The result is by name of the read. Each read is made a few times before it counts, so caches are
 * warm. Requests go one after the other.
 */
export async function measureReads({
  databaseUrl,
  baseUrl,
  events,
  headers = {},
}: {
  databaseUrl: string;
  baseUrl: string;
  events: number;
  headers?: Record<string, string>;
}): Promise<Record<string, ReadTimes>> {
  const now = Date.now();
  const orm = await connect(databaseUrl, 2);
  try {
    await fillEvents(orm, events, now);
  } finally {
    await orm.close(true);
  }
  return measure(requests(now), baseUrl, headers);
}

function requests(now: number): Record<string, string> {
  const iso = (daysAgo: number) => new Date(now - daysAgo * DAY_MS).toISOString();
  const lists = {
    'no filter': '',
    severity: 'severity=critical',
    'a rare severity': `severity=${RARE_SEVERITY}`,
    'a severity that nobody has': 'severity=nobody',
    source: 'source_id=source-7',
    type: 'event_type=type_3',
    'source and severity': 'source_id=source-7&severity=critical',
    'source and type': 'source_id=source-7&event_type=type_2',
    'source and a type it never has': 'source_id=source-7&event_type=type_9',
    'type and severity': 'event_type=type_3&severity=critical',
    'type and a rare severity': `event_type=type_3&severity=${RARE_SEVERITY}`,
    'all three': 'source_id=source-7&event_type=type_2&severity=critical',
    'payload, one day': `payload.host=web-1&from=${iso(1)}`,
    'a payload that nobody has': 'payload.host=nobody',
  };
  return {
    ...Object.fromEntries(
      Object.entries(lists).map(([name, query]) => [`events: ${name}`, `/events?limit=50&${query}`]),
    ),
    summary: '/analytics/summary',
    'severity distribution': '/analytics/severity-distribution',
    'severity distribution, from and to': `/analytics/severity-distribution?from=${iso(20.3)}&to=${iso(1.7)}`,
    'time series by hour': '/analytics/time-series?step=3600',
    'time series by minute, one day': `/analytics/time-series?from=${iso(1)}`,
    'time series by minute, all 43,200': '/analytics/time-series',
  };
}

async function measure(
  paths: Record<string, string>,
  baseUrl: string,
  headers: Record<string, string>,
): Promise<Record<string, ReadTimes>> {
  const times: Record<string, ReadTimes> = {};
  for (const [name, path] of Object.entries(paths)) {
    times[name] = await timesOf(baseUrl + path, headers);
    const deep = path.startsWith('/events') ? await cursorOfPage(baseUrl, path, headers) : null;
    if (deep) times[`${name}, page ${PAGE}`] = await timesOf(deep, headers);
  }
  return times;
}

async function timesOf(url: string, headers: Record<string, string>): Promise<ReadTimes> {
  const taken: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const since = performance.now();
    const response = await fetch(url, { headers });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    if (round >= 0) taken.push(performance.now() - since);
  }
  return { p50: percentile(taken, 0.5), p95: percentile(taken, 0.95) };
}

/**
 * Finds the cursor of the page, in steps of 200 events. Null if the list is shorter, or if it is a search.
 */
async function cursorOfPage(
  baseUrl: string,
  path: string,
  headers: Record<string, string>,
): Promise<string | null> {
  let url = baseUrl + path.replace('limit=50', 'limit=200');
  for (let skipped = 0; skipped < (PAGE - 1) * 50; skipped += 200) {
    const response = await fetch(url, { headers });
    await response.arrayBuffer();
    const next = /^<([^>]+)>/.exec(response.headers.get('link') ?? '')?.[1];
    if (!next || response.headers.has('tocsin-searched-to')) return null;
    url = baseUrl + next;
  }
  return url.replace('limit=200', 'limit=50');
}
