import type { z } from 'zod';
import { BODY_LIMIT } from '../limits.ts';
import { Invalid } from '../problem.ts';
import { type BodySpec, check } from '../route.ts';
import type { Body, Reading } from './body.ts';
import { checkStorable } from './storable.ts';
import { unknownKeys } from './unknown-names.ts';

/**
 * Declares a JSON body. Unknown keys are refused. The reference ignores them, but its own clients send none.
 * @param ignored unknown keys that are accepted: those of the answer, because clients change an answer and
 * send it back
 */
export function jsonBody<S extends z.ZodType>(
  schema: S,
  { limit = BODY_LIMIT, ignored = [] }: { limit?: number; ignored?: readonly string[] } = {},
): BodySpec<z.output<S>> {
  const optional = schema.safeParse(undefined).success;
  return {
    content: { 'application/json': schema },
    optional,
    async read(body) {
      const raw = await readJson(body, limit, 'exactly', optional);
      checkStorable(raw);
      const unknown = unknownKeys(schema, raw, ignored);
      if (unknown.length > 0) throw new Invalid(unknown);
      return check(schema, raw, '');
    },
  };
}

/**
 * Reads one JSON document; undefined for an empty body where that is allowed. An empty body may have any
 * media type, because many clients send one anyway.
 * @throws as `Body.chunks`, and Invalid
 */
export async function readJson(
  body: Body,
  limit: number,
  reading: Reading,
  optional = false,
): Promise<unknown> {
  const raw = await body.json(limit, reading, () => body.expect('application/json'));
  if (raw === undefined && !optional) throw new Invalid([{ field: 'body', reason: 'is required' }]);
  return raw;
}
