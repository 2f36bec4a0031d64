import { z } from 'zod';
import { receivedSeverity } from '../../domain/events/severity.ts';
import { parseInstant } from '../../domain/instant.ts';
import { NEVER, type ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import { pagerdutyKey } from '../../domain/received-alerts/key.ts';
import type { Converted, EventInput } from './converted.ts';
import { fitSource, shortened } from './fit.ts';
import { cutText } from './repair.ts';

/** The longest summary and dedup_key, in characters. PagerDuty has the same limits. */
const LONGEST_SUMMARY = 1024;
const LONGEST_KEY = 255;

const text = z.string();

/** Treats empty values as absent. Many clients send all fields, some without a value. */
const absentIfEmpty = <S extends z.ZodType>(schema: S) =>
  z.preprocess((given) => (given === '' ? undefined : given), schema);

/** An optional field of a page. If it has the wrong type it is dropped, so that the page is not refused. */
const detail = <S extends z.ZodType>(schema: S) => schema.nullish().catch(null);

const payload = z
  .object({
    summary: z
      .string()
      .min(1)
      .transform((summary) => cutText(summary, LONGEST_SUMMARY)),
    source: text.min(1),
    severity: z.enum(['critical', 'error', 'warning', 'info']),
    // An invalid time is dropped, so that the page is not refused.
    timestamp: z
      .unknown()
      .optional()
      .meta({ override: { type: 'string', format: 'date-time' } }),
    component: detail(text),
    group: detail(text),
    class: detail(text),
    custom_details: z.unknown().optional(),
  })
  .meta({ id: 'PagerDutyPayload' });

const dedupKey = z
  .string()
  .min(1)
  .transform((key) => shortened(key, LONGEST_KEY));

const common = {
  routing_key: z.string().min(1).max(255),
  client: detail(text),
  client_url: detail(text),
  links: detail(
    z.array(
      z.object({ href: z.string().nullish(), text: z.string().nullish() }).meta({ id: 'PagerDutyLink' }),
    ),
  ),
};

/** An event of PagerDuty's Events API v2. Images are ignored; they are for PagerDuty's own pages. */
export const pagerdutyEvent = z
  .discriminatedUnion('event_action', [
    z.object({
      ...common,
      event_action: z.literal('trigger'),
      dedup_key: absentIfEmpty(dedupKey.nullish()),
      payload,
    }),
    z.object({ ...common, event_action: z.enum(['acknowledge', 'resolve']), dedup_key: dedupKey }),
  ])
  .meta({ id: 'PagerDutyEvent' });

export type PagerDutyEvent = z.output<typeof pagerdutyEvent>;

/** A change event: something was deployed or switched. It opens no incident. */
export const pagerdutyChange = z
  .object({
    routing_key: common.routing_key,
    payload: payload.pick({ summary: true, timestamp: true, custom_details: true }).extend({
      source: detail(text),
    }),
    links: common.links,
  })
  .meta({ id: 'PagerDutyChange' });

export type PagerDutyChange = z.output<typeof pagerdutyChange>;

/** Converts a change event into an event of type `change`. */
export function fromPagerDutyChange({ payload, links }: PagerDutyChange): Converted<EventInput> {
  const { summary, source, timestamp, custom_details } = payload;
  const at = timeOf(timestamp);
  return {
    event: {
      source_id: fitSource(source || 'pagerduty'),
      event_type: 'change',
      severity: 'info',
      ...(at === null ? {} : { timestamp: new Date(at).toISOString() }),
      payload: {
        summary,
        ...given({ source }),
        ...(custom_details ? { custom_details } : {}),
        ...(links ? { links } : {}),
      },
    },
    lenient: true,
  };
}

/**
 * Converts a PagerDuty event into a received alert.
 * @param scope the id of the ingest key, so that no key can resolve the alerts of another
 * @param dedupKey the event's own, or a generated one for a trigger without one
 * @param now epoch ms, the time of receipt
 */
export function fromPagerDuty(
  event: PagerDutyEvent,
  scope: string,
  dedupKey: string,
  now: number,
): ReceivedAlert {
  const key = pagerdutyKey(scope, dedupKey);
  if (event.event_action !== 'trigger') {
    return {
      ...{ protocol: 'pagerduty', key, action: event.event_action, labels: {}, annotations: {} },
      ...{ severity: 'info', summary: '', generator_url: null },
      ...{ starts_at: now, ends_at: now, ends_explicit: true },
    };
  }
  const {
    summary,
    source,
    severity,
    timestamp,
    component,
    group,
    class: kind,
    custom_details,
  } = event.payload;
  return {
    protocol: 'pagerduty',
    key,
    action: 'trigger',
    labels: given({ source, component, group, class: kind }),
    annotations: { ...detailsOf(custom_details), ...given({ client: event.client }) },
    severity: receivedSeverity(severity),
    summary,
    generator_url: event.client_url || event.links?.[0]?.href || null,
    starts_at: timeOf(timestamp) ?? now,
    ends_at: NEVER,
    ends_explicit: false,
  };
}

/** Parses a time into epoch ms. Null if there is none, if it is invalid, or if no incident can begin then. */
function timeOf(given: unknown): number | null {
  if (typeof given !== 'string' && typeof given !== 'number') return null;
  const at = parseInstant(given);
  return at >= 0 && at <= NEVER ? at : null;
}

/** The entries that have a value. */
function given(texts: Record<string, string | null | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).filter((entry): entry is [string, string] => Boolean(entry[1])),
  );
}

/** The details as texts. By convention they are an object, but a string or a list is allowed too. */
function detailsOf(details: unknown): Record<string, string> {
  if (details === undefined || details === null) return {};
  if (typeof details !== 'object' || Array.isArray(details)) return { custom_details: textOf(details) };
  return Object.fromEntries(Object.entries(details).map(([name, value]) => [name, textOf(value)]));
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
