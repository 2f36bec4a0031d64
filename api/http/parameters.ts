import { z } from 'zod';
import { parseInstant } from '../../domain/instant.ts';

/** A whole number in a query. OpenAPI shows it as an integer. */
export function queryInteger(min: number, max: number) {
  return z
    .string()
    .regex(/^[+-]?\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`))
    .meta({ override: { type: 'integer', minimum: min, maximum: max, pattern: undefined } });
}

/** Adds a default that OpenAPI shows too. Without the override, a transform in the schema would hide it. */
export function withDefault<S extends z.ZodType<number>>(schema: S, value: number) {
  return schema.default(value as z.util.NoUndefined<z.output<S>>).meta({ override: { default: value } });
}

/**
 * A time in a query, converted to epoch milliseconds. It accepts the same forms as the times of events. A
 * time without a zone is UTC.
 */
export const queryTime = z
  .string()
  // In a query, an unescaped + is decoded as a space.
  .transform((text) => parseInstant(text.replace(/(:\d\d(?:[.,]\d+)?) (?=\d\d:?\d\d$)/, '$1+')))
  .refine((at) => !Number.isNaN(at), {
    message: 'must be an RFC 3339 time, or seconds or milliseconds since 1970',
    abort: true,
  })
  .refine((at) => at >= 0 && at < 253_402_300_800_000, 'must be between 1970 and 9999')
  .meta({ override: { type: 'string', format: 'date-time', pattern: undefined } });

/** The two parameters that limit a list to a time range. `from` is included, `to` is excluded. */
export const range = {
  from: queryTime.optional().meta({ description: 'Start of the time range, included' }),
  to: queryTime.optional().meta({ description: 'End of the time range, excluded' }),
};

export const uuid = z.guid('must be a UUID').transform((id) => id.toLowerCase());

export const idParams = z.object({ id: uuid });

/** A time in an answer. */
export const time = z.iso.datetime();

/**
 * Characters that make a text look different from its content: line ends, invisible characters, bidi
 * controls.
 */
const DECEIVING = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u200b\u2060\ufeff]/u;

/** Text without characters that could mislead its readers. */
export const plainText = z
  .string()
  .refine((text) => !DECEIVING.test(text), 'must not contain control or invisible characters');

/** A name that audit entries and timelines show. It must not look like a different name. */
export const shownName = (longest: number) => plainText.trim().min(1).max(longest);

/** The name of the person who acts, for the timeline. */
export const actor = shownName(200).optional().meta({
  description:
    'The person who acts, if the request uses the key of a program or of somebody else. Tocsin cannot verify the name, so the timeline adds the name of the key.',
});

/** The parameter `label=name:value`, which may be repeated. A value may contain colons, a name may not. */
export const labelParameter = z
  .array(
    z
      .string()
      .max(1100)
      .regex(/^[^:]+:/, 'must be name:value')
      .transform((text) => {
        const colon = text.indexOf(':');
        return { name: text.slice(0, colon), value: text.slice(colon + 1) };
      }),
  )
  .max(20)
  .optional()
  .meta({
    description:
      '`name:value`. The parameter may be repeated; an incident must have all of these among its labels or group values.',
  });

export const idempotencyKey = z.object({
  'idempotency-key': z.string().min(1).max(255).optional().meta({
    description:
      'Events without an `event_id` derive one from this key and their position in the request. A request that is sent again with the same key is therefore stored once.',
  }),
});
