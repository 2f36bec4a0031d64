import { z } from 'zod';
import { NEVER, pagerdutyKey, type ReceivedAlert, receivedSeverity } from '../../domain/received-alert.ts';
import { rfc3339 } from './time.ts';

const text = z.string().max(1024);

const time = z.iso.datetime({ offset: true, local: true });

const payload = z.object({
  summary: z.string().min(1).max(1024),
  source: text.min(1),
  severity: z.enum(['critical', 'error', 'warning', 'info']),
  timestamp: z
    .string()
    .refine((given) => time.safeParse(rfc3339(given)).success, 'must be an ISO 8601 time')
    .meta({ format: 'date-time' })
    .nullish(),
  component: text.nullish(),
  group: text.nullish(),
  class: text.nullish(),
  custom_details: z.unknown().optional(),
});

const common = {
  routing_key: z.string().min(1).max(255),
  dedup_key: z.string().min(1).max(255),
  client: text.nullish(),
  client_url: text.nullish(),
  links: z
    .array(z.object({ href: z.string(), text: z.string().nullish() }))
    .max(100)
    .nullish(),
};

/** An event of PagerDuty's Events API v2. Images are for its own pages, and ignored. */
export const pagerdutyEvent = z
  .discriminatedUnion('event_action', [
    z.object({
      ...common,
      event_action: z.literal('trigger'),
      dedup_key: common.dedup_key.nullish(),
      payload,
    }),
    z.object({ ...common, event_action: z.enum(['acknowledge', 'resolve']) }),
  ])
  .meta({ id: 'PagerDutyEvent' });

export type PagerDutyEvent = z.output<typeof pagerdutyEvent>;

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
    starts_at: timestamp ? timeOf(timestamp) : now,
    ends_at: NEVER,
    ends_explicit: false,
  };
}

/** Epoch ms. A time without zone is UTC. */
function timeOf(given: string): number {
  const text = rfc3339(given);
  return Date.parse(/(?:Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`);
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
