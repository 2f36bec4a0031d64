import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Event } from '../domain/events/event.ts';
import type { ProducerSettings } from '../domain/producers/producer.ts';

/**
 * All signals, updates and queries, shared by workflows and their callers. Each has a single object as input.
 */

/** The person who acts, for timelines; `api` if unknown. */
export interface By {
  actor: string;
}

// ── producer/<source> ────────────────────────────────────────────────────────────────────────────

/**
 * The input from which a producer's batch is made. Made again from it, a simulated batch has the same events.
 */
export interface Batch {
  source_id: string;
  /** Sequence number of its first event. Numbers have no gaps during the life of a producer. */
  first_sequence: number;
  /**
   * Its events happened after this time, epoch milliseconds. It is the previous tick, or an earlier one if
   * the producer catches up.
   */
  from_at: number;
  /** Time of the tick, epoch milliseconds. None of its events is later. */
  tick_at: number;
  settings: ProducerSettings;
  /** Every batch of the source with a tick before this is appended or a dead letter. Epoch milliseconds. */
  appended_through: number;
  /**
   * Its events have reserved ids, which no sender may use. Absent in batches from before that; they keep
   * their ids.
   */
  ids?: 'reserved';
}

export interface ProducerStatus {
  state: 'running' | 'paused' | 'breaker open';
  settings: ProducerSettings;
  next_sequence: number;
  /** The next tick, epoch milliseconds. It is in the past if the producer is behind. */
  next_tick_at: number;
  /** How far the producer was behind when it last did something, in milliseconds; 0 if it keeps up. */
  behind_ms: number;
  /** Batches sent to the ingest queue that are neither appended nor dead letters yet. */
  in_flight: number;
  /** How many events were appended, and how many went to the dead-letter workflow. */
  emitted: number;
  dead_lettered: number;
  last_error: string | null;
}

/** What one run of a producer passes to the next. Times are absolute. */
export interface ProducerProgress
  extends Pick<ProducerStatus, 'next_sequence' | 'emitted' | 'dead_lettered' | 'last_error'> {
  /** The time up to which everything was emitted, epoch milliseconds. The next tick follows from it. */
  covered_to: number;
  breaker: { failures: number; opened: number; retry_at: number | null };
}

export interface ProducerInput {
  source_id: string;
  settings: ProducerSettings;
  paused?: boolean;
  /** The progress of the previous run. */
  resume?: ProducerProgress;
}

export const pauseProducer = defineUpdate<ProducerStatus, [By]>('pause');
export const resumeProducer = defineUpdate<ProducerStatus, [By]>('resume');
export const setProducerRate = defineUpdate<ProducerStatus, [{ rate_per_second: number }]>('setRate');
/**
 * Creates the producer (sent with the start) or changes the settings of a running one. Without `paused`, that
 * stays as it is.
 */
export const configureProducer = defineUpdate<
  ProducerStatus,
  [{ settings: ProducerSettings; paused?: boolean }]
>('configure');
/** Finishes the batches in flight, then ends the workflow. */
export const stopProducer = defineUpdate<ProducerStatus, [By]>('stop');
export const producerStatus = defineQuery<ProducerStatus>('status');

// ── dead-letter/<source> ─────────────────────────────────────────────────────────────────────────

/**
 * A batch that failed for good, as the dead-letter workflow holds it. `id` is derived from source, sequence
 * and tick.
 */
export interface HeldBatch {
  id: string;
  batch: Batch;
  /** Kind of failure, see retry-policies.ts. */
  failure: string;
  reason: string;
  /** Epoch milliseconds. */
  failed_at: number;
  /** The events themselves if they cannot be made again, because they are the result of a check. */
  events?: Event[];
}

/** Ids of stored letters, how often each was retried, and when it is retried next (epoch milliseconds). */
export type DeadLetterRetries = { id: string; retries: number; next_at: number }[];

export interface DeadLetterInput {
  source_id: string;
  /** What the previous run held. */
  resume?: {
    unrecorded: HeldBatch[];
    retrying: DeadLetterRetries;
    /** Why the last letter failed, for the Temporal Web UI, in Markdown. */
    last_failure?: string;
  };
}

export interface DeadLetterStatus {
  /** Batches that only this workflow holds, because PostgreSQL has not stored them yet. */
  unrecorded: number;
  /** Stored letters that are retried automatically, because their failure is transient. */
  retrying: number;
  next_retry_at: number | null;
}

/** Rejected if the workflow holds as many batches as it can. The producer then keeps the batch and waits. */
export const addDeadLetter = defineUpdate<void, [HeldBatch]>('add');
export const redriveDeadLetters = defineUpdate<
  { redriven: string[]; failed: string[] },
  [{ ids: string[] } & By]
>('redrive');
export const discardDeadLetters = defineUpdate<{ discarded: string[] }, [{ ids: string[] } & By]>('discard');
export const deadLetterStatus = defineQuery<DeadLetterStatus>('status');

// ── rule/<id> ────────────────────────────────────────────────────────────────────────────────────

/** Something about the rule may have changed. The rows say what. */
export const wakeRule = defineSignal('wake');
/** No longer sent. Kept for runs that have it in their history. */
export const ruleChanged = defineSignal('changed');
export interface RuleState {
  evaluations: number;
  firing: number;
  pending: number;
  last_evaluated_at: number | null;
}
export const ruleState = defineQuery<RuleState>('state');

// ── incident/<id> ────────────────────────────────────────────────────────────────────────────────

/** The incident's row or its notices have changed, so the workflow must read them. */
export const incidentChanged = defineSignal('changed');
/** Rejected unless the incident is open. */
export const acknowledgeIncident = defineUpdate<void, [By & { comment?: string }]>('acknowledge');
/** Rejected if the incident is resolved. While the rule keeps firing for the group, no new incident opens. */
export const resolveIncident = defineUpdate<void, [By & { comment?: string }]>('resolve');
export const commentIncident = defineUpdate<void, [By & { text: string }]>('comment');
export interface IncidentStatus {
  state: string;
  /** Notices not delivered yet, and when each is tried next (epoch ms). */
  sending: { notice: string; channel: string; attempt: number; next_at: number | null }[];
}
export const incidentStatus = defineQuery<IncidentStatus>('status');
