import type { ResolveReason } from './incident.ts';
import type { NoticeKind } from './notice.ts';

/** Start and end of an episode, ISO 8601. */
type Bounds = {
  opened_at: string;
  /** Null while the rule fires. */
  ended_at: string | null;
};

/** The reason for shortening, splitting or withdrawing an incident. */
export const CORRECTED = 'corrected by late events';

type Correction = { reason: typeof CORRECTED; before: Bounds };

/** The outcome of a notice on one channel. */
type Delivered = {
  notice_id: string;
  notice: NoticeKind;
  channel: string;
  attempts: number;
  detail: string;
};

/** All kinds of timeline entries, with their details. */
interface Details {
  opened: { late: boolean; recorded_at: string; observed_count?: number; split_from?: string };
  acknowledged: { request: string; comment?: string };
  comment: { request: string; text: string };
  resolved: { reason: ResolveReason; request?: string; comment?: string };
  /** The rule stopped firing after a person had resolved the incident. */
  recovered: Record<string, never>;
  reopened: { resolved_at?: string };
  /** The episode began earlier or ended later than was known, or another incident was merged into it. */
  extended: Bounds | { merged: string };
  merged: { into: string };
  shortened: Correction & Bounds;
  split: Correction & Bounds & { into: string[] };
  withdrawn: Correction;
  notice_sent: Delivered;
  notice_failed: Delivered;
  notified_nobody: Pick<Delivered, 'notice_id' | 'notice'>;
}

export type TimelineKind = keyof Details;

/** One entry of a timeline. */
export type TimelineEntry<K extends TimelineKind = TimelineKind> = {
  [Kind in K]: {
    incident_id: string;
    /** Epoch milliseconds. */
    at: number;
    kind: Kind;
    /** `rule`, `tocsin`, or a person's name. */
    actor: string;
    detail: Details[Kind];
  };
}[K];

const LISTED: Record<TimelineKind, true> = {
  ...{ opened: true, acknowledged: true, comment: true, resolved: true, recovered: true, reopened: true },
  ...{ extended: true, merged: true, shortened: true, split: true, withdrawn: true },
  ...{ notice_sent: true, notice_failed: true, notified_nobody: true },
};
export const TIMELINE_KINDS = Object.keys(LISTED) as TimelineKind[];
