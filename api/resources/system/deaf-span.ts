import { z } from 'zod';
import { DEAF_REASONS, type DeafSpan } from '../../../domain/system/deafness.ts';
import { time } from '../../http/parameters.ts';

/** A time in which silence says nothing. */
export const deafSpanOut = z
  .object({
    whose: z.enum(['process', 'source', 'key']).meta({
      description:
        'Whose events were not heard: those of one of our processes, of a producer, or of the holder of a key',
    }),
    name: z
      .string()
      .meta({ description: 'The role of the process, the id of the producer, or the name of the key' }),
    reason: z.enum(DEAF_REASONS).meta({
      description:
        '`buffer_full`, `body_budget`, `disk_full`, `store_unavailable`, `failed`, `over_rate`, `too_slow`: requests were refused; ' +
        '`gap`: a process sent no heartbeat for a while; `lost`: a process vanished; `stuck`: a producer is so far behind that the watermark no longer waits for it; ' +
        '`dead_letter`: a batch of a producer became a dead letter, and is not redriven',
    }),
    from: time,
    to: time.meta({ description: 'When Tocsin last refused or missed something' }),
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
