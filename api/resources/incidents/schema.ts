import { z } from 'zod';
import type { NoticeRow, TimelineRow } from '../../../db/queries/incidents/reads.ts';
import { factsOf, type IncidentRow } from '../../../domain/incidents/facts.ts';
import { INCIDENT_STATES, RESOLVE_REASONS } from '../../../domain/incidents/incident.ts';
import { NOTICE_KINDS } from '../../../domain/incidents/notice.ts';
import { TIMELINE_KINDS } from '../../../domain/incidents/timeline.ts';
import { iso } from '../../../domain/instant.ts';
import type { DeafSpan } from '../../../domain/system/deafness.ts';
import { time } from '../../http/parameters.ts';
import { deafSpanOut, showSpan } from '../system/deaf-span.ts';

const texts = z.record(z.string(), z.string());

export const incidentOut = z
  .object({
    id: z.guid(),
    rule_id: z.guid(),
    rule_name: z.string(),
    severity: z.string(),
    summary: z.string(),
    metadata: z.record(z.string(), z.number()).meta({
      description:
        '`observed_count`: how many events were in the window. `window_seconds`: the length of the window.',
    }),
    triggered_at: time.meta({
      description:
        'The same as `opened_at`, under the name of the older system whose API Tocsin is compatible with',
    }),
    state: z.enum(INCIDENT_STATES),
    late: z.boolean().meta({
      description:
        'True if the events that opened the incident arrived more than a minute after they happened',
    }),
    since: time.meta({
      description:
        'When the condition of the rule began to hold. With `for_seconds`, this is earlier than `opened_at`.',
    }),
    opened_at: time.meta({ description: 'When the rule began to fire, by event time' }),
    ended_at: time.nullable().meta({ description: 'When the rule stopped firing; null while it fires' }),
    recorded_at: time.meta({ description: 'When Tocsin recorded the incident' }),
    acknowledged_at: time.nullable(),
    acknowledged_by: z.string().nullable(),
    resolved_at: time.nullable(),
    resolved_by: z.string().nullable().meta({ description: 'Who resolved it; null if the rule did' }),
    resolve_reason: z
      .enum(RESOLVE_REASONS)
      .nullable()
      .meta({
        description:
          'Why it was resolved: `recovered` when the rule stopped firing, `manual` by a person, `withdrawn` when late events ' +
          'showed that the rule never fired',
      }),
    merged_into: z.guid().nullable().meta({
      description:
        'Id of the incident that this one was merged into. Late events showed that the rule never stopped firing between the two.',
    }),
    withdrawn_at: time.nullable().meta({
      description:
        'When the incident was withdrawn, because late events showed that the rule never fired. `ended_at` then equals ' +
        '`opened_at`; the entry `withdrawn` of the timeline has the times from before',
    }),
    reopened: z.int().meta({ description: 'How many times late events reopened the incident' }),
    corrections: z.int().meta({ description: 'How many times late events shortened or split the incident' }),
    group: texts.meta({ description: "Values of the rule's `group_by` fields" }),
    labels: texts,
    annotations: texts,
  })
  .meta({ id: 'Incident' });

export const incidentDetailOut = incidentOut
  .extend({
    timeline: z.array(
      z.object({
        at: time,
        kind: z.enum(TIMELINE_KINDS),
        actor: z.string().meta({ description: '`rule`, `tocsin`, or who did it' }),
        detail: z.record(z.string(), z.unknown()),
      }),
    ),
    deaf_spans: z.array(deafSpanOut).meta({
      description:
        'Deaf spans between `since` and `ended_at` (or now): times in which Tocsin refused, lost or missed events. The latest 50, ' +
        'newest first. Silence in a deaf span does not resolve an incident.',
    }),
    notices: z.array(
      z.object({
        id: z.guid(),
        kind: z.enum(NOTICE_KINDS).meta({
          description:
            '`shortened`, `split` and `withdrawn` correct what people were told before, because of late events',
        }),
        at: time,
        done: z.boolean().meta({
          description:
            'True once every configured channel has either delivered the notice or given up; also true without channels',
        }),
        deliveries: z.array(
          z.object({
            channel: z.string(),
            attempt: z.int(),
            at: time,
            outcome: z.string(),
            duration_ms: z.int(),
            detail: z.string(),
          }),
        ),
      }),
    ),
  })
  .meta({ id: 'IncidentDetail' });

/** Converts an incident, its timeline, its notices and the deaf spans during it into the API's form. */
export function showIncidentDetail(
  row: IncidentRow,
  timeline: readonly TimelineRow[],
  notices: readonly NoticeRow[],
  deaf: readonly DeafSpan[],
): z.output<typeof incidentDetailOut> {
  return {
    ...factsOf(row),
    timeline: timeline.map((entry) => ({ ...entry, at: iso(entry.at) })),
    deaf_spans: deaf.map(showSpan),
    notices: notices.map((notice) => ({
      ...notice,
      at: iso(notice.at),
      deliveries: notice.deliveries.map((delivery) => ({ ...delivery, at: iso(delivery.at) })),
    })),
  };
}
