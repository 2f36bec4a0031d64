import { z } from 'zod';
import type { Dialect } from '../../../http/route.ts';

/** Errors as Alertmanager sends them: a JSON string, and 400 for invalid input. */
export const dialect: Dialect = {
  content: { 'application/json': z.string() },
  invalid: 400,
  say: ({ message, errors }) => {
    const all = errors?.map(({ field, reason }) => (field ? `${field}: ${reason}` : reason));
    return { type: 'application/json', body: JSON.stringify(all?.join('; ') ?? message) };
  },
};
