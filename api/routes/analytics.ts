import { z } from 'zod';
import { sqlOf } from '../../db/orm.ts';
import { severityDistribution, summary, timeSeries } from '../../db/queries/analytics.ts';
import { DAY_MS } from '../../domain/event.ts';
import type { ApiDeps } from '../deps.ts';
import { type Route, route } from '../route.ts';
import { queryInteger, range, time, withDefault } from '../schemas/parameters.ts';

const iso = (at: number) => new Date(at).toISOString();

const step = withDefault(
  queryInteger(60, 86_400 * 366).refine((seconds) => seconds % 60 === 0, 'must be a multiple of 60'),
  60,
);

/** Counts by minute, kept with every append: no event is read for them. */
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
          description: 'Events and incidents so far; `total_alerts` counts incidents',
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
      description: '`from` and `to` are widened to whole minutes.',
      query: z.object(range),
      responses: {
        200: {
          description: 'The most frequent first',
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
        '`step` is in seconds, a multiple of 60. `from` and `to` are widened to whole minutes. Steps without events are left out.',
      query: z.object({ ...range, step }),
      responses: {
        200: {
          description: 'In order of time; `minute` is the start of the step',
          schema: z.array(z.object({ minute: time, count: z.int() })),
          media: ['application/json'],
        },
      },
      async handle({ query }) {
        const points = await timeSeries(sqlOf(orm), wholeMinutes(query), query.step * 1000);
        return { status: 200, type: 'application/json', body: showSeries(points) };
      },
    }),
  ];
}

/**
 * The series as JSON, written at one go: of thirty days' minutes, making an object and a date for each took ten times as long. Of a minute's
 * time only the day needs a calendar.
 */
function showSeries(points: readonly { minute: number; count: number }[]): string {
  let day = Number.NaN;
  let date = '';
  const shown = points.map(({ minute, count }) => {
    const within = minute % DAY_MS;
    if (minute - within !== day) {
      day = minute - within;
      date = new Date(day).toISOString().slice(0, 11);
    }
    const [hours, minutes] = [Math.floor(within / 3_600_000), Math.floor(within / 60_000) % 60];
    return `{"minute":"${date}${two(hours)}:${two(minutes)}:00.000Z","count":${count}}`;
  });
  return `[${shown.join()}]`;
}

const two = (n: number) => (n < 10 ? `0${n}` : String(n));

/** Widens the range to whole minutes. */
function wholeMinutes({ from, to }: { from?: number; to?: number }) {
  const floor = (at?: number) => (at === undefined ? undefined : Math.floor(at / 60_000) * 60_000);
  const ceiling = (at?: number) => (at === undefined ? undefined : Math.ceil(at / 60_000) * 60_000);
  return { from: floor(from), to: ceiling(to) };
}
