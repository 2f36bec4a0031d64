import type { z } from 'zod';
import { BODY_LIMIT } from '../limits.ts';
import { Invalid } from '../problem.ts';
import { type BodySpec, check } from '../route.ts';
import type { Body, Reading } from './body.ts';
import { checkStorable } from './storable.ts';
import { unknownKeys } from './unknown-names.ts';

/**
 * A JSON body of this schema. A key that nobody knows is refused. The reference ignores it; its own clients
 * send none.
 * @param ignored keys that are not: those of an answer, which clients change and send back
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
 * One JSON document; undefined for an empty body, where that is allowed. The type is looked at only where
 * there is something to be typed: plenty of clients send one with an empty body. @throws as `Body.chunks`,
 * and Invalid
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
