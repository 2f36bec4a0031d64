import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { isStorable, storableText } from '../../db/storable.ts';
import { type Event, MAX_AHEAD_MS } from '../../domain/events/event.ts';
import { parseInstant } from '../../domain/instant.ts';
import { repair, shorten } from '../formats/repair.ts';

/** Limits of a payload: its nesting, and its length as JSON in characters. */
export const MAX_DEPTH = 32;
export const MAX_PAYLOAD = 96 * 1024;

/** The key in a payload under which an impossible time of the event is kept. */
const CLAIMED = 'claimed_timestamp';

export interface InvalidEvent {
  field: string;
  reason: string;
}

export interface ValidationLimits {
  /** Epoch milliseconds. */
  now: number;
  retentionMs: number;
}

const NO_TIME = 'must be an RFC 3339 time, or seconds or milliseconds since 1970';

/** Parsed to epoch milliseconds during validation, so that the text is parsed only once. */
const timestamp = z
  .custom<string | number>((given) => typeof given === 'string' || typeof given === 'number', NO_TIME)
  .meta({
    description:
      'When the event happened: an RFC 3339 time, or seconds or milliseconds since 1970. A time without a zone is UTC. Lower-case `t` and `z`, a space instead of `T`, and missing seconds are accepted. If absent: now',
    override: { anyOf: [{ type: 'string', format: 'date-time' }, { type: 'number' }] },
  })
  .transform((given, { issues }) => {
    const instant = parseInstant(given);
    if (Number.isNaN(instant)) issues.push({ code: 'custom', message: NO_TIME, input: given });
    return instant;
  });

/** Not `z.record`, which drops a key named `__proto__`. */
const payload = z
  .custom<Record<string, unknown>>(
    (given) => given !== null && typeof given === 'object' && !Array.isArray(given),
    'must be an object',
  )
  .meta({ override: { type: 'object', additionalProperties: {} } });

/** One event as senders send it, in the reference's form. OpenAPI shows it too. */
export const eventInput = z
  .object({
    event_id: z.guid().optional().meta({
      description:
        'Chosen by the sender, so that a repeated event is stored once. If absent, Tocsin makes one up.',
    }),
    source_id: z.string().min(3).max(100).meta({ description: 'Who the event comes from' }),
    timestamp: timestamp.optional(),
    severity: z.string().min(1).max(32).meta({
      description: 'Usually `critical`, `high`, `medium`, `low` or `info`. Other texts rank like `info`.',
    }),
    event_type: z.string().min(1).max(64),
    payload: payload.default(() => ({})),
  })
  .meta({ id: 'EventInput' });

/** The result of validation. `timeGiven` is false if the event has an id but no time. */
export type Validated = { event: Event; timeGiven: boolean } | { invalid: InvalidEvent[] };

/**
 * Validates one event and fixes its identity: a missing id or time is chosen here, once. The time is cut to
 * whole milliseconds. NUL and halves of surrogate pairs become U+FFFD.
 * @param lenient for senders that cannot react to a refusal: if a payload is too long, its longest texts are
 * cut; if the time is in the future, the event happened when it arrived
 */
export function validateEvent(
  input: unknown,
  { now, retentionMs }: ValidationLimits,
  lenient = false,
): Validated {
  const parsed = eventInput.safeParse(input);
  if (!parsed.success) {
    return {
      invalid: parsed.error.issues.map((issue) => ({ field: issue.path.join('.'), reason: issue.message })),
    };
  }
  const { event_id, timestamp, payload } = parsed.data;
  const invalid: InvalidEvent[] = [];
  const flaw = payloadFlaw(payload, lenient);
  if (flaw) invalid.push({ field: 'payload', reason: flaw });
  const claimed = timestamp ?? null;
  const ahead = claimed !== null && claimed > now + MAX_AHEAD_MS;
  if (claimed !== null && claimed < now - retentionMs) {
    invalid.push({ field: 'timestamp', reason: 'is older than the retention of events' });
  } else if (ahead && !lenient) {
    invalid.push({ field: 'timestamp', reason: 'is more than 5 minutes in the future' });
  }
  if (invalid.length > 0) return { invalid };
  if (ahead) payload[CLAIMED] ??= new Date(claimed).toISOString();
  const occurred_at = claimed === null || ahead ? null : claimed;
  return {
    event: {
      event_id: event_id?.toLowerCase() ?? randomUUID(),
      source_id: storable(parsed.data.source_id),
      occurred_at: occurred_at ?? now,
      severity: storable(parsed.data.severity),
      event_type: storable(parsed.data.event_type),
      payload: payload as Event['payload'],
    },
    timeGiven: occurred_at !== null || event_id === undefined,
  };
}

const storable = (text: string) => (isStorable(text) ? text : storableText(text));

function payloadFlaw(payload: Record<string, unknown>, lenient: boolean): string | null {
  const flaw = repair(payload, MAX_DEPTH);
  if (flaw) return flaw;
  if (JSON.stringify(payload).length <= MAX_PAYLOAD) return null;
  if (lenient && shorten(payload, MAX_PAYLOAD)) return null;
  return `longer than ${MAX_PAYLOAD} characters`;
}
