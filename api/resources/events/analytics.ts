import { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import { severityDistribution, summary, timeSeries } from '../../../db/queries/events/analytics.ts';
import { DAY_MS } from '../../../domain/events/event.ts';
import { iso } from '../../../domain/instant.ts';
import type { ApiDeps } from '../../deps.ts';
import { queryInteger, range, time, withDefault } from '../../http/parameters.ts';
import { type Route, route } from '../../http/route.ts';

const step = withDefault(
  queryInteger(60, 86_400 * 366).refine((seconds) => seconds % 60 === 0, 'must be a multiple of 60'),
  60,
);

/** Routes of counts by minute. Every append maintains the counts, so no event is read. */
export function analyticsRoutes({ orm }: ApiDeps): Route[] {
  return [
    route({
      method: 'get',
      path: '/analytics/summary',
      role: 'read',
      tags: ['analytics'],
      summary: 'Totals',
      responses: {
        200: {
          description: 'Number of events and incidents; `total_alerts` counts incidents',
          schema: z.object({
            total_events: z.int(),
            total_alerts: z.int(),
            latest_event_timestamp: time.nullable(),
          }),
        },
      },
      async handle() {
        const { total_events, total_alerts, latest } = await summary(sqlOf(orm));
        const latest_event_timestamp = latest === null ? null : iso(latest);
        return { status: 200, body: { total_events, total_alerts, latest_event_timestamp } };
      },
    }),
    route({
      method: 'get',
      path: '/analytics/severity-distribution',
      role: 'read',
      tags: ['analytics'],
      summary: 'Events by severity',
      description: '`from` is rounded down and `to` is rounded up to a whole minute.',
      query: z.object(range),
      responses: {
        200: {
          description: 'Most frequent first',
          schema: z.array(z.object({ severity: z.string(), count: z.int() })),
        },
      },
      async handle({ query }) {
        return { status: 200, body: await severityDistribution(sqlOf(orm), wholeMinutes(query)) };
      },
    }),
    route({
      method: 'get',
      path: '/analytics/time-series',
      role: 'read',
      tags: ['analytics'],
      summary: 'Events by time',
      description:
        '`step` is in seconds and a multiple of 60. `from` is rounded down and `to` is rounded up to a whole minute. Steps without events are omitted.',
      query: z.object({ ...range, step }),
      responses: {
        200: {
          description: 'Oldest first; `minute` is the start of the step',
          schema: z.array(z.object({ minute: time, count: z.int() })),
          media: ['application/json'],
        },
      },
      async handle({ query }) {
        const points = await timeSeries(sqlOf(orm), wholeMinutes(query), query.step * 1000);
        return { status: 200, type: 'application/json', body: writePoints(points) };
      },
    }),
  ];
}

/**
 * Writes the points as JSON with ISO 8601 times. Thirty days of minutes are two megabytes. Making a Date for
 * each point would block the process for 30 ms.
 */
function writePoints(points: readonly { minute: number; count: number }[]): string {
  let [midnight, day] = [Number.NaN, ''];
  // Appending to a string takes half as long as joining an array.
  let written = '';
  for (const { minute, count } of points) {
    const into = ((minute % DAY_MS) + DAY_MS) % DAY_MS;
    if (minute - into !== midnight) {
      midnight = minute - into;
      day = `{"minute":"${iso(midnight).split('T')[0]!}`;
    }
    if (written !== '') written += ',';
    written += `${day}${TIMES[into / 60_000]}${count}}`;
  }
  return `[${written}]`;
}

/** The text between the day and the count of a point, for each minute of a day. */
const TIMES = Array.from(
  { length: DAY_MS / 60_000 },
  (_, minute) => `${iso(minute * 60_000).slice(10)}","count":`,
);

/** Widens a time range to whole minutes. */
function wholeMinutes({ from, to }: { from?: number; to?: number }) {
  const floor = (at?: number) => (at === undefined ? undefined : Math.floor(at / 60_000) * 60_000);
  const ceiling = (at?: number) => (at === undefined ? undefined : Math.ceil(at / 60_000) * 60_000);
  return { from: floor(from), to: ceiling(to) };
}
