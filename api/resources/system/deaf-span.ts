import { z } from 'zod';
import { DEAF_REASONS, type DeafSpan } from '../../../domain/system/deafness.ts';
import { time } from '../../http/parameters.ts';

/** A time in which events may be missing, so that the absence of events proves nothing. */
export const deafSpanOut = z
  .object({
    whose: z.enum(['process', 'source', 'key']).meta({
      description:
        'Whose events may be missing. `process`: those sent to one process of Tocsin; `source`: those of a producer; `key`: those sent with one key.',
    }),
    name: z
      .string()
      .meta({ description: 'The role of the process, the id of the producer, or the name of the key' }),
    reason: z.enum(DEAF_REASONS).meta({
      description:
        '`buffer_full`, `body_budget`, `disk_full`, `store_unavailable`, `failed`, `over_rate`, `too_slow`: requests were refused; ' +
        '`gap`: a process sent no heartbeat for a while; `lost`: a process vanished; `stuck`: a producer is so far behind that the watermark no longer waits for it; ' +
        '`dead_letter`: a batch of a producer became a dead letter, and has not been redriven',
    }),
    from: time,
    to: time.meta({ description: 'The end of the span: when Tocsin last refused or missed an event in it' }),
  })
  .meta({ id: 'DeafSpan' });

/** Converts a deaf span into the form that the API answers. */
export function showSpan({ whose, name, reason, from_at, to_at }: DeafSpan): z.output<typeof deafSpanOut> {
  return {
    whose,
    name,
    reason,
    from: new Date(from_at).toISOString(),
    to: new Date(to_at).toISOString(),
  };
}
