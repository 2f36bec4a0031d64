import { Readable } from 'node:stream';
import { z } from 'zod';
import { sqlOf } from '../../../../db/orm.ts';
import { activeAlertPages, activeAlerts } from '../../../../db/queries/received-alerts/reads.ts';
import type { ReceivedAlertRow } from '../../../../db/queries/received-alerts/writes.ts';
import { compileLabelMatchers } from '../../../../domain/received-alerts/label-matcher.ts';
import { MatcherError } from '../../../../domain/rules/matcher.ts';
import { parseLabelFilter } from '../../../../ingest/formats/label-filter.ts';
import { ALERTS_LISTED } from '../../../http/limits.ts';
import { Invalid } from '../../../http/problem.ts';
import { type Route, route } from '../../../http/route.ts';
import { Slots } from '../../../http/slots.ts';
import type { FormatDeps } from '../format.ts';
import { dialect } from './dialect.ts';
import { alertGroup, gettableAlert, groupsOf, RECEIVER, showGettable, showGroup } from './schema.ts';

const flag = z.enum(['true', 'false']).default('true');

const filters = z.object({
  filter: z.array(z.string().max(300)).max(10).default([]).meta({
    description: 'Label matchers such as `severity=~"critical|warning"`; an alert must match all of them',
  }),
  active: flag,
  silenced: flag.meta({ description: 'No effect: Tocsin has no silences, so no alert is ever silenced' }),
  inhibited: flag.meta({ description: 'No effect: no alert is ever inhibited' }),
  unprocessed: flag.meta({ description: 'No effect: no alert is ever unprocessed' }),
  muted: flag.meta({ description: 'No effect: no alert is ever muted' }),
  receiver: z
    .string()
    .max(1000)
    .default('')
    .meta({ description: 'A regular expression for the name of the receiver' }),
});

/** How many lists of alerts one process sends at the same time: for one key (`ofOne`), and for all keys. */
const LISTS = { ofOne: 8, ofAll: 64 };

/** The largest answer with groups, in characters. Such an answer is built as a whole. */
const GROUPED_CHARACTERS = 4 << 20;

/**
 * How many answers with groups one process sends at the same time: for one key (`ofOne`), and for all keys.
 * Each keeps all of its alerts in memory until the client has read them.
 */
const GROUPINGS = { ofOne: 8, ofAll: 16 };

/** Writes groups as JSON, one after the other. */
function* asGroups(alerts: readonly ReceivedAlertRow[]): Generator<string> {
  let before = '[';
  for (const group of groupsOf(alerts)) {
    yield before + JSON.stringify(showGroup(group));
    before = ',';
  }
  yield before === '[' ? '[]' : ']';
}

/** Writes a list as JSON while reading it from the database. */
async function* asList(
  first: readonly ReceivedAlertRow[],
  rest: AsyncIterator<ReceivedAlertRow[]>,
): AsyncGenerator<string> {
  const write = (alerts: readonly ReceivedAlertRow[]) =>
    alerts.map((alert) => JSON.stringify(showGettable(alert))).join(',');
  yield `[${write(first)}`;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield `,${write(next.value)}`;
  yield ']';
}

const NONE = { status: 200, type: 'application/json', body: '[]' } as const;

/**
 * Streams a list and frees its slot when it is sent. `open` runs before the answer begins, so that an early
 * failure gets an error status.
 */
async function streamed(leave: () => void, open: () => Promise<Iterable<string> | AsyncIterable<string>>) {
  const parts = await open().catch((error) => {
    leave();
    throw error;
  });
  const body = Readable.from(parts, { objectMode: false });
  body.once('close', leave);
  return { status: 200, type: 'application/json', body } as const;
}

/** The route that lists active alerts. */
export function listRoutes({ orm, clock }: FormatDeps): Route[] {
  const lists = new Slots('lists of alerts', LISTS);
  const groupings = new Slots('lists of groups of alerts', GROUPINGS);

  /** Converts a query into what to search for; null if nothing can match. @throws Invalid */
  function wanted(query: z.output<typeof filters>) {
    if (query.active === 'false') return null;
    const matchers = query.filter.map((text) => {
      const matcher = parseLabelFilter(text);
      if (!matcher) throw new Invalid([{ field: 'filter', reason: `bad matcher format: ${text}` }]);
      return matcher;
    });
    try {
      const named = { name: 'receiver', op: '=~', value: query.receiver } as const;
      if (query.receiver && !compileLabelMatchers([named])({ receiver: RECEIVER.name })) return null;
      compileLabelMatchers(matchers);
      return { protocol: 'alertmanager', matchers, now: clock(), limit: ALERTS_LISTED } as const;
    } catch (error) {
      if (error instanceof MatcherError) throw new Invalid([{ field: 'filter', reason: error.message }]);
      throw error;
    }
  }

  return [
    route({
      method: 'get',
      path: '/api/v2/alerts',
      role: 'read',
      tags: ['received alerts'],
      summary: 'Active alerts (Alertmanager API v2)',
      query: filters,
      responses: {
        200: {
          description: 'The first 10,000 alerts',
          media: ['application/json'],
          schema: z.array(gettableAlert),
        },
      },
      dialect,
      async handle({ query, principal }) {
        const asked = wanted(query);
        if (!asked) return NONE;
        return streamed(lists.take(principal), async () => {
          const pages = activeAlertPages(sqlOf(orm), asked)[Symbol.asyncIterator]();
          const first = await pages.next();
          return asList(first.done ? [] : first.value, pages);
        });
      },
    }),
    route({
      method: 'get',
      path: '/api/v2/alerts/groups',
      role: 'read',
      tags: ['received alerts'],
      summary: 'Active alerts, grouped by name (Alertmanager API v2)',
      query: filters,
      responses: {
        200: {
          description: 'Groups of the first 10,000 alerts; fewer if these are more than 4 MiB',
          media: ['application/json'],
          schema: z.array(alertGroup),
        },
      },
      dialect,
      async handle({ query, principal }) {
        const asked = wanted(query);
        if (!asked) return NONE;
        return streamed(groupings.take(principal), async () => {
          const { alerts } = await activeAlerts(sqlOf(orm), asked, GROUPED_CHARACTERS);
          return asGroups(alerts);
        });
      },
    }),
  ];
}
