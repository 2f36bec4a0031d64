import { z } from 'zod';
import { time } from '../../http/parameters.ts';
import { deafSpanOut } from './deaf-span.ts';

const queue = z.object({ count: z.int(), oldest_seconds: z.number().nullable() });

/** The state of the disk that PostgreSQL writes to. */
export const diskOut = z
  .object({
    state: z.enum(['ok', 'low', 'full', 'unknown']).meta({
      description:
        '`low`: free some space soon; `full`: events are refused until there is space; `unknown`: Tocsin cannot find out how much is free',
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
    impaired: z
      .array(z.string())
      .meta({ description: 'One sentence for each reason why `status` is not `ok`' }),
    at: time,
    workers: z.boolean().meta({ description: 'True if every worker role has a live process' }),
    postgres: z.object({ reachable: z.boolean() }),
    temporal: z.object({
      reachable: z.boolean(),
      dead_letter_sources: z.int().nullable().meta({
        description:
          'How many sources have a running dead-letter workflow. Such a workflow holds dead letters that PostgreSQL has not stored yet, or redrives them. Null if Temporal does not answer.',
      }),
    }),
    disk: diskOut,
    channels: z.array(z.string()).meta({ description: 'Names of the notification channels' }),
    processes: z
      .array(
        z.object({
          id: z.guid(),
          role: z.string(),
          started_at: time,
          beat_age_seconds: z.number(),
          alive: z.boolean(),
          ended: z.boolean().meta({
            description: 'True if it ended in order, with nothing left to store; false if it vanished',
          }),
          in_flight: z.int(),
          buffered: z.int(),
        }),
      )
      .optional()
      .meta({
        description:
          'All processes except retired ones. A dead process stays listed for 15 minutes. If it was the last one of a role that receives events, ' +
          'it stays until another process of that role starts, or until `POST /processes/{id}/retire` removes it.',
      }),
    watermark: z.object({ at: time.nullable(), lag_seconds: z.number().nullable() }).optional().meta({
      description:
        'Everything that happened before this instant is stored, as far as Tocsin knows. An incident is resolved only once the watermark has passed its end.',
    }),
    deaf_spans: z
      .array(deafSpanOut)
      .optional()
      .meta({
        description:
          'Times in the last 24 hours in which Tocsin refused, lost or missed events; the latest 50, newest first. ' +
          'Silence in a deaf span does not resolve an incident.',
      }),
    waiting: z
      .object({
        wakes: queue,
        evaluations: queue,
        notices: queue,
        rules_not_ready: z.int(),
        dead_letters: z.int(),
      })
      .optional()
      .meta({
        description:
          'What waits. `wakes`: appends whose events have not woken their rules; `evaluations`: groups to be judged; ' +
          '`notices`: notices not delivered yet; `rules_not_ready`: rules whose backfill is not done.',
      }),
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
      .meta({ description: 'The last run of each housekeeping step. Housekeeping runs every minute.' }),
    wedged_workflows: z
      .array(z.object({ workflow_id: z.string(), attempts: z.int(), reason: z.string() }))
      .optional()
      .meta({
        description:
          'Workflows that cannot continue because their code fails at each attempt. Housekeeping looks for them every minute.',
      }),
    incidents: z.object({ open: z.int(), acknowledged: z.int() }).optional(),
  })
  .meta({ id: 'Status' });
