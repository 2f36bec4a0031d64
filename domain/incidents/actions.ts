import { requestedNoticeId } from './ids.ts';
import type { IncidentState } from './incident.ts';
import type { TimelineEntry, TimelineKind } from './timeline.ts';
import type { Transition } from './transitions.ts';

/** What a person requested. `request` identifies the request, so that a repeated one is executed once. */
export interface PersonsRequest {
  incident_id: string;
  request: string;
  actor: string;
}

/** The actions of people on an incident. */
export type Asked =
  | (PersonsRequest & { action: 'acknowledge' | 'resolve'; comment?: string })
  | (PersonsRequest & { action: 'comment'; text: string });
export type Action = Asked['action'];

const REFUSED_IN: Record<Action, readonly IncidentState[]> = {
  acknowledge: ['acknowledged', 'resolved'],
  resolve: ['resolved'],
  comment: [],
};

/** The kind of timeline entry for each action. */
export const ENTRY_OF = {
  ...{ acknowledge: 'acknowledged', resolve: 'resolved', comment: 'comment' },
} as const satisfies Record<Action, TimelineKind>;

/** Says why an incident in this state refuses the action, in a sentence; null if it does not. */
export const refusalOf = (action: Action, state: IncidentState): string | null =>
  REFUSED_IN[action].includes(state) ? `the incident is already ${state}` : null;

/**
 * The transition for an action that is not refused. Resolving does not end the episode: it continues until
 * the rule says that it ended. `at`: epoch milliseconds.
 */
export function act(asked: Asked, at: number): Transition {
  const { incident_id, request, actor } = asked;
  const by = { incident_id, at, actor };
  switch (asked.action) {
    case 'acknowledge':
      return {
        incident: { id: incident_id, state: 'acknowledged', acknowledged_at: at, acknowledged_by: actor },
        entries: [{ ...by, kind: 'acknowledged', detail: { request, ...commentOf(asked) } }],
        notices: [],
      };
    case 'resolve': {
      const reason = 'manual' as const;
      const id = requestedNoticeId(incident_id, 'resolved', request);
      const detail = { reason, request, ...commentOf(asked) };
      return {
        incident: {
          ...{
            id: incident_id,
            state: 'resolved',
            resolved_at: at,
            resolved_by: actor,
            resolve_reason: reason,
          },
        },
        entries: [{ ...by, kind: 'resolved', detail }],
        notices: [{ id, incident_id, kind: 'resolved', at }],
      };
    }
    case 'comment': {
      const entry: TimelineEntry = { ...by, kind: 'comment', detail: { request, text: asked.text } };
      return { incident: { id: incident_id }, entries: [entry], notices: [] };
    }
  }
}

const commentOf = ({ comment }: { comment?: string }) => (comment === undefined ? {} : { comment });
