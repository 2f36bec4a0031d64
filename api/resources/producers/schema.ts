import { z } from 'zod';
import type { Producer } from '../../../db/entities/producer.ts';
import { type ProducerSettings, redactedUrl, withoutSecrets } from '../../../domain/producers/producer.ts';
import { settingsFlaw } from '../../../domain/producers/tick.ts';
import type { ProducerStatus } from '../../../workflows/messages.ts';
import type { Principal } from '../../auth/access.ts';
import { unknownKeys } from '../../http/body/unknown-names.ts';
import { time } from '../../http/parameters.ts';
import { Invalid } from '../../http/problem.ts';
import { check } from '../../http/route.ts';

const severity = z.string().min(1).max(32);
const eventType = z.string().min(1).max(64);

const burst = z.object({
  every_seconds: z.number().min(1).max(86_400).meta({ description: 'Time from one burst to the next' }),
  length_seconds: z.number().min(0).max(86_400).meta({ description: 'How long a burst lasts' }),
  factor: z.number().min(1).max(10_000).meta({ description: 'Multiplies the rate while the burst lasts' }),
  event_type: eventType,
  severity,
});

const simulated = z
  .object({
    rate_per_second: z.number().min(0.01).max(10_000).default(5),
    tick_ms: z.int().min(100).max(60_000).default(1000).meta({ description: 'Time between two batches' }),
    seed: z
      .int()
      .min(0)
      .max(2_147_483_647)
      .default(1)
      .meta({ description: 'The same seed generates the same events' }),
    severities: z.array(severity).min(1).max(20).default(['critical', 'high', 'medium']),
    event_types: z.array(eventType).min(1).max(20).default(['cpu_spike', 'latency_anomaly']),
    burst: burst.nullable().default(null),
  })
  .meta({ id: 'SimulatedSettings', description: 'Generates events at a steady rate, with optional bursts' });

const httpCheck = z
  .object({
    url: z
      .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
      .max(2000)
      .refine((url) => {
        const parsed = URL.parse(url);
        return !parsed?.username && !parsed?.password;
      }, 'must not carry credentials')
      .meta({
        description:
          'The values of its query parameters are shown as `***` in the audit log and to keys without the role `operate`',
      }),
    interval_seconds: z.int().min(5).max(86_400).default(60).meta({ description: 'Time between two probes' }),
    timeout_ms: z.int().min(100).max(60_000).default(10_000),
    expected_status: z
      .array(z.int().min(100).max(599))
      .max(100)
      .default([])
      .meta({ description: 'HTTP statuses that count as healthy; empty means 200 to 399' }),
    certificate_days: z
      .int()
      .min(0)
      .max(3650)
      .default(14)
      .meta({ description: 'Emit a warning this many days before the certificate expires' }),
  })
  .meta({
    id: 'HttpCheckSettings',
    description: 'Probes a URL and emits an event with the result of each probe',
  });

const SETTINGS = { simulated, 'http-check': httpCheck };
type Kind = keyof typeof SETTINGS;

const id = z
  .string()
  .min(3)
  .max(100)
  .regex(
    /^[^\s/\\?#%\p{C}](?:[^/\\?#%\p{C}\p{Zl}\p{Zp}]*[^\s/\\?#%\p{C}])?$/u,
    'must be usable in a URL path: no / \\ ? # %',
  )
  .meta({ description: 'Also the `source_id` of its events' });

export const producerParams = z.object({ id: z.string().max(100) });

export const producerIn = z
  .discriminatedUnion('kind', [
    z.object({
      id,
      kind: z.literal('simulated'),
      settings: simulated.prefault({}),
      paused: z.boolean().default(false),
      sample: z.boolean().default(false),
    }),
    z.object({
      id,
      kind: z.literal('http-check'),
      settings: httpCheck,
      paused: z.boolean().default(false),
      sample: z.boolean().default(false),
    }),
  ])
  .meta({ id: 'ProducerInput' });

export const producerPatch = z
  .object({
    kind: z.enum(['simulated', 'http-check']).nullish(),
    settings: z.record(z.string(), z.unknown()).nullish().meta({
      description:
        'Absent settings keep their values. If `kind` changes, absent settings get their defaults.',
    }),
    paused: z.boolean().nullish(),
  })
  .meta({ id: 'ProducerPatch', description: 'Absent and null fields keep their values' });

const statusOut = z
  .object({
    state: z.enum(['running', 'paused', 'breaker open']).meta({
      description: '`breaker open`: too many batches failed, so the producer only tries one now and then',
    }),
    next_sequence: z.int().meta({ description: 'Sequence number of the next event' }),
    next_tick_at: time.meta({ description: 'When the next batch is due; in the past if it is behind' }),
    behind_ms: z.number().meta({ description: 'How far the producer is behind; 0 if it keeps up' }),
    in_flight: z.int().meta({ description: 'Batches emitted but not stored yet' }),
    emitted: z.int().meta({ description: 'Events stored so far' }),
    dead_lettered: z.int().meta({ description: 'Events that became dead letters' }),
    last_error: z.string().nullable(),
  })
  .meta({ id: 'ProducerStatus' });

export const producerOut = z
  .object({
    id: z.string(),
    kind: z.enum(['simulated', 'http-check']),
    settings: z.union([simulated, httpCheck]),
    paused: z.boolean(),
    sample: z.boolean(),
    created_at: time,
    updated_at: time,
    appended: z.int().meta({ description: 'Events stored since the producer was created' }),
    appended_through: time.nullable().meta({ description: 'All its events before this time are stored' }),
  })
  .meta({ id: 'Producer' });

export const producerDetailOut = producerOut
  .extend({
    status: statusOut
      .nullable()
      .meta({ description: 'State of its workflow; null while the workflow cannot be queried' }),
  })
  .meta({ id: 'ProducerDetail' });

/** Validates settings across fields. @throws Invalid */
export function producerSettings(
  kind: Kind,
  settings: z.output<typeof simulated> | z.output<typeof httpCheck>,
): ProducerSettings {
  const whole = { kind, ...settings } as ProducerSettings;
  const flaw = settingsFlaw(whole);
  if (flaw) throw new Invalid([{ field: 'settings', reason: flaw }]);
  return whole;
}

/** Merges changes into the settings. @throws Invalid */
export function changedSettings(
  current: ProducerSettings,
  { kind, settings }: z.output<typeof producerPatch>,
): ProducerSettings {
  const next = kind ?? current.kind;
  const base = next === current.kind ? current : {};
  const unknown = unknownKeys(SETTINGS[next], settings ?? {});
  if (unknown.length > 0) {
    throw new Invalid(unknown.map(({ field, reason }) => ({ field: `settings.${field}`, reason })));
  }
  // Without the cast, TypeScript does not know which of the two schemas this is. Both are object schemas.
  const schema = z.object({ settings: SETTINGS[next] as typeof simulated | typeof httpCheck });
  const merged = check(schema, { settings: { ...base, ...settings } }, 'settings');
  return producerSettings(next, merged.settings);
}

/**
 * Converts a request about a producer into what the audit log stores. The log is kept for long, so secrets
 * are removed.
 */
export function recordedProducer<B extends { settings?: unknown }>(body: B): B {
  const { url } = (body.settings ?? {}) as { url?: unknown };
  if (typeof url !== 'string') return body;
  return { ...body, settings: { ...(body.settings as object), url: redactedUrl(url) } };
}

/** Says whether the caller may see secrets in settings: only those who may change producers. */
const mayKnow = ({ roles }: Principal) => roles.includes('operate');

/** Converts a producer into the form that the API answers to `asker`. */
export function showProducer(row: Producer, asker: Principal): z.output<typeof producerOut> {
  const { kind, ...settings } = mayKnow(asker) ? row.settings : withoutSecrets(row.settings);
  return {
    id: row.id,
    kind,
    settings: settings as z.output<typeof producerOut>['settings'],
    paused: row.paused,
    sample: row.sample,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
    appended: row.appended,
    appended_through: row.appendedThrough?.toISOString() ?? null,
  };
}

/** Converts a producer and the state of its workflow. */
export function showProducerDetail(
  row: Producer,
  status: ProducerStatus | null | undefined,
  asker: Principal,
): z.output<typeof producerDetailOut> {
  if (!status) return { ...showProducer(row, asker), status: null };
  const { settings: _, next_tick_at, ...rest } = status;
  return {
    ...showProducer(row, asker),
    status: { ...rest, next_tick_at: new Date(next_tick_at).toISOString() },
  };
}
