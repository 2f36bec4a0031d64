import { z } from 'zod';
import { receivedSeverity } from '../../domain/events/severity.ts';
import { parseInstant } from '../../domain/instant.ts';
import { NEVER, pagerdutyKey, type ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import type { Converted, EventInput } from './converted.ts';
import { fitSource, shortened } from './fit.ts';
import { cutText } from './repair.ts';

/**
 * Longest summary and dedup_key, in characters. PagerDuty has the same limits, and refuses or cuts what is
 * longer.
 */
const LONGEST_SUMMARY = 1024;
const LONGEST_KEY = 255;

const text = z.string();

/** What is empty is absent: plenty of clients send all fields, some without a value. */
const absentIfEmpty = <S extends z.ZodType>(schema: S) =>
  z.preprocess((given) => (given === '' ? undefined : given), schema);

/**
 * A field that a page can do without. If it has the wrong type, it is left out, and the page is not refused.
 */
const detail = <S extends z.ZodType>(schema: S) => schema.nullish().catch(null);

const payload = z
  .object({
    summary: z
      .string()
      .min(1)
      .transform((summary) => cutText(summary, LONGEST_SUMMARY)),
    source: text.min(1),
    severity: z.enum(['critical', 'error', 'warning', 'info']),
    // A time that nobody understands is no reason to refuse a page.
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

/** An event of PagerDuty's Events API v2. Images are for its own pages, and ignored. */
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

/** A change event as an event of type `change`. */
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
 * A PagerDuty event as a received alert.
 * @param scope the ingest key's id: nobody resolves another one's alerts
 * @param dedupKey the event's own, or one made up for a trigger without one
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

/** Epoch ms; null for none, for what is no time, and for one that no incident can begin at. */
function timeOf(given: unknown): number | null {
  if (typeof given !== 'string' && typeof given !== 'number') return null;
  const at = parseInstant(given);
  return at >= 0 && at <= NEVER ? at : null;
}

/** Those that have a value. */
function given(texts: Record<string, string | null | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).filter((entry): entry is [string, string] => Boolean(entry[1])),
  );
}

/** Details are an object by convention, of anything; a text or a list is allowed too. */
function detailsOf(details: unknown): Record<string, string> {
  if (details === undefined || details === null) return {};
  if (typeof details !== 'object' || Array.isArray(details)) return { custom_details: textOf(details) };
  return Object.fromEntries(Object.entries(details).map(([name, value]) => [name, textOf(value)]));
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
