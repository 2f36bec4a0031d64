import { z } from 'zod';
import { deafSpanOut } from './deaf-span.ts';
import { time } from './parameters.ts';

const queue = z.object({ count: z.int(), oldest_seconds: z.number().nullable() });

/** How PostgreSQL's disk is. */
export const diskOut = z
  .object({
    state: z.enum(['ok', 'low', 'full', 'unknown']).meta({
      description:
        '`low`: see to it; `full`: no events are taken until there is room; `unknown`: nothing says how much is free',
    }),
    free_bytes: z.number().nullable(),
    total_bytes: z.number().nullable(),
    known_by: z.enum(['data directory', 'path', 'quota']).nullable(),
    measured_at: time.nullable(),
  })
  .meta({ id: 'Disk' });

export const statusOut = z
  .object({
    status: z.enum(['ok', 'impaired', 'down']),
    impaired: z.array(z.string()).meta({ description: 'Why it is not ok, in sentences' }),
    at: time,
    workers: z.boolean().meta({ description: 'Live workers for every kind of work' }),
    postgres: z.object({ reachable: z.boolean() }),
    temporal: z.object({
      reachable: z.boolean(),
      dead_letter_sources: z.int().nullable().meta({
        description:
          'Sources of which Temporal holds dead letters until PostgreSQL has them, or retries them; null when it can’t say',
      }),
    }),
    disk: diskOut,
    channels: z.array(z.string()).meta({ description: 'Names of the notification channels' }),
    processes: z
      .array(
        z.object({
          role: z.string(),
          started_at: time,
          beat_age_seconds: z.number(),
          alive: z.boolean(),
          in_flight: z.int(),
          buffered: z.int(),
        }),
      )
      .optional(),
    watermark: z
      .object({ at: time.nullable(), lag_seconds: z.number().nullable() })
      .optional()
      .meta({ description: 'Everything that happened before this instant is appended' }),
    deaf_spans: z
      .array(deafSpanOut)
      .optional()
      .meta({
        description:
          'Times of the last 24 hours in which events were refused, lost or not heard, the latest 50, newest first. ' +
          'Incidents do not resolve by silence in them.',
      }),
    waiting: z
      .object({
        wakes: queue,
        evaluations: queue,
        notices: queue,
        rules_not_ready: z.int(),
        dead_letters: z.int(),
      })
      .optional(),
    housekeeping: z
      .array(
        z.object({
          step: z.string(),
          started_at: time,
          ended_at: time,
          succeeded_at: time.nullable(),
          error: z.string().nullable(),
        }),
      )
      .optional()
      .meta({ description: 'The last round of each step of housekeeping; a round begins every minute' }),
    wedged_workflows: z
      .array(z.object({ workflow_id: z.string(), attempts: z.int(), reason: z.string() }))
      .optional()
      .meta({
        description:
          'Workflows whose code fails each time they are to go on, as housekeeping found them within the last minute',
      }),
    incidents: z.object({ open: z.int(), acknowledged: z.int() }).optional(),
  })
  .meta({ id: 'Status' });
