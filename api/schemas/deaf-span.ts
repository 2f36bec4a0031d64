import { z } from 'zod';
import { DEAF_REASONS, type DeafSpan } from '../../domain/deafness.ts';
import { time } from './parameters.ts';

/** A time in which silence says nothing. */
export const deafSpanOut = z
  .object({
    whose: z.enum(['process', 'source', 'key']).meta({
      description: 'Whom it is about: one of our processes, a producer, or the holder of a key',
    }),
    name: z.string().meta({ description: "The process's role, the producer's id, or the key's name" }),
    reason: z.enum(DEAF_REASONS).meta({
      description:
        '`buffer_full`, `body_budget`, `disk_full`, `store_unavailable`, `failed`, `over_rate`, `too_slow`: requests were refused; ' +
        '`gap`: a process did not beat; `lost`: a process vanished; `stuck`: a producer is too far behind to be waited for',
    }),
    from: time,
    to: time.meta({ description: 'The last time that something was refused or not heard' }),
  })
  .meta({ id: 'DeafSpan' });

/** A span as the API answers it. */
export function showSpan({ whose, name, reason, from_at, to_at }: DeafSpan): z.output<typeof deafSpanOut> {
  return {
    whose,
    name,
    reason,
    from: new Date(from_at).toISOString(),
    to: new Date(to_at).toISOString(),
  };
}
