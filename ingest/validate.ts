import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { isStorable } from '../db/storable.ts';
import { type Event, type Json, MAX_AHEAD_MS } from '../domain/event.ts';

/** Deepest nesting of a payload, and its longest form as JSON in characters. */
export const MAX_DEPTH = 32;
export const MAX_PAYLOAD = 64 * 1024;

export interface InvalidEvent {
  field: string;
  reason: string;
}

export interface ValidationLimits {
  /** Epoch milliseconds. */
  now: number;
  retentionMs: number;
}

/** One event as senders give it: the reference's shape. Feeds OpenAPI too. */
export const eventInput = z.object({
  event_id: z.guid().optional(),
  source_id: z.string().min(3).max(100),
  timestamp: z.iso.datetime({ offset: true, local: true }).optional(),
  severity: z.string().min(1).max(32),
  event_type: z.string().min(1).max(64),
  payload: z.record(z.string(), z.unknown()).default({}),
});

/** What validation makes of an input. `timeGiven` false: the event has an id but claimed no time yet. */
export type Validated = { event: Event; timeGiven: boolean } | { invalid: InvalidEvent[] };

/**
 * Checks one event and fixes its identity: here an id or a time that is missing is made up, once. The time is
 * cut to whole milliseconds. A time without zone is UTC.
 */
export function validateEvent(input: unknown, { now, retentionMs }: ValidationLimits): Validated {
  const parsed = eventInput.safeParse(input);
  if (!parsed.success) {
    return {
      invalid: parsed.error.issues.map((issue) => ({ field: issue.path.join('.'), reason: issue.message })),
    };
  }
  const { event_id, source_id, timestamp, severity, event_type, payload } = parsed.data;
  const invalid: InvalidEvent[] = [];
  for (const [field, text] of Object.entries({ source_id, severity, event_type })) {
    if (!isStorable(text)) invalid.push({ field, reason: 'must not contain NUL or broken surrogates' });
  }
  const flaw = payloadFlaw(payload as Json);
  if (flaw) invalid.push({ field: 'payload', reason: flaw });
  const occurred_at = timestamp === undefined ? now : parseTime(timestamp);
  if (Number.isNaN(occurred_at)) invalid.push({ field: 'timestamp', reason: 'no such time' });
  else if (occurred_at < now - retentionMs) {
    invalid.push({ field: 'timestamp', reason: 'older than events are kept' });
  } else if (occurred_at > now + MAX_AHEAD_MS) {
    invalid.push({ field: 'timestamp', reason: 'more than 5 minutes ahead of the clock' });
  }
  if (invalid.length > 0) return { invalid };
  return {
    event: {
      event_id: event_id?.toLowerCase() ?? randomUUID(),
      source_id,
      occurred_at,
      severity,
      event_type,
      payload: payload as Event['payload'],
    },
    timeGiven: timestamp !== undefined || event_id === undefined,
  };
}

function parseTime(text: string): number {
  return Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`);
}

/** Walks without recursion: hostile depth must not overflow the stack. */
function payloadFlaw(payload: Json): string | null {
  const stack: { value: Json; depth: number }[] = [{ value: payload, depth: 1 }];
  while (stack.length > 0) {
    const { value, depth } = stack.pop()!;
    if (typeof value === 'string' && !isStorable(value)) return 'must not contain NUL or broken surrogates';
    if (typeof value === 'number' && !Number.isFinite(value))
      return 'must not contain numbers that are too large';
    if (value === null || typeof value !== 'object') continue;
    if (depth > MAX_DEPTH) return `nested deeper than ${MAX_DEPTH}`;
    for (const [key, item] of Object.entries(value)) {
      if (!isStorable(key)) return 'must not contain NUL or broken surrogates';
      stack.push({ value: item, depth: depth + 1 });
    }
  }
  if (JSON.stringify(payload).length > MAX_PAYLOAD) return `longer than ${MAX_PAYLOAD} characters`;
  return null;
}
