import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Event } from '../domain/events/event.ts';
import type { ProducerSettings } from '../domain/producers/producer.ts';

/** Every signal, update and query, once, for workflows and their callers alike. One object each as input. */

/** Who did it, for timelines: a person's name, or `api`. */
export interface By {
  actor: string;
}

// ── producer/<source> ────────────────────────────────────────────────────────────────────────────

/**
 * What a batch of a producer is made from: enough to make it again, so that a retry makes the same events.
 */
export interface Batch {
  source_id: string;
  /** Sequence number of its first event; counts up without a gap over the producer's life. */
  first_sequence: number;
  /**
   * Its events happened after this; epoch milliseconds. The tick before, or an earlier one when it catches
   * up.
   */
  from_at: number;
  /** Event time of the tick, epoch milliseconds. No event of it is later. */
  tick_at: number;
  settings: ProducerSettings;
  /**
   * Every batch of the source with a tick before this one is appended or in a dead letter. Epoch
   * milliseconds.
   */
  appended_through: number;
  /**
   * Its events have ids that no sender may give. Absent in batches that began before that was so: they keep
   * theirs.
   */
  ids?: 'reserved';
}

export interface ProducerStatus {
  state: 'running' | 'paused' | 'breaker open';
  settings: ProducerSettings;
  next_sequence: number;
  /** Next tick to be emitted, epoch milliseconds. In the past when it falls behind. */
  next_tick_at: number;
  /** How far it was behind its tick when it last did something, milliseconds; 0 when it keeps up. */
  behind_ms: number;
  /** Batches sent to the ingest queue and not yet appended, or not yet in a dead letter. */
  in_flight: number;
  /** Events appended, and events given to the dead-letter workflow. */
  emitted: number;
  dead_lettered: number;
  last_error: string | null;
}

/** What one run of a producer hands to the next. Times are absolute. */
export interface ProducerProgress
  extends Pick<ProducerStatus, 'next_sequence' | 'emitted' | 'dead_lettered' | 'last_error'> {
  /** Everything up to here is emitted, epoch milliseconds: the next tick follows from it. */
  covered_to: number;
  breaker: { failures: number; opened: number; retry_at: number | null };
}

export interface ProducerInput {
  source_id: string;
  settings: ProducerSettings;
  paused?: boolean;
  /** Where an earlier run left off. */
  resume?: ProducerProgress;
}

export const pauseProducer = defineUpdate<ProducerStatus, [By]>('pause');
export const resumeProducer = defineUpdate<ProducerStatus, [By]>('resume');
export const setProducerRate = defineUpdate<ProducerStatus, [{ rate_per_second: number }]>('setRate');
/**
 * Sent with start: makes the producer, or gives a running one new settings. Without `paused` it stays as it
 * is.
 */
export const configureProducer = defineUpdate<
  ProducerStatus,
  [{ settings: ProducerSettings; paused?: boolean }]
>('configure');
/** Finishes what is in flight and ends. */
export const stopProducer = defineUpdate<ProducerStatus, [By]>('stop');
export const producerStatus = defineQuery<ProducerStatus>('status');

// ── dead-letter/<source> ─────────────────────────────────────────────────────────────────────────

/**
 * A batch that failed for good, as its dead-letter workflow holds it. `id` is derived from (source, sequence,
 * tick).
 */
export interface HeldBatch {
  id: string;
  batch: Batch;
  /** Kind of failure, see policies.ts. */
  failure: string;
  reason: string;
  /** Epoch milliseconds. */
  failed_at: number;
  /** The events themselves, where they can't be made again: what a check found. */
  events?: Event[];
}

/** Recorded ids, how often each was retried, and when it is next; epoch milliseconds. */
export type DeadLetterRetries = { id: string; retries: number; next_at: number }[];

export interface DeadLetterInput {
  source_id: string;
  /** What an earlier run held. */
  resume?: {
    unrecorded: HeldBatch[];
    retrying: DeadLetterRetries;
    /** Why the last letter failed, for the Temporal Web UI, in Markdown. */
    last_failure?: string;
  };
}

export interface DeadLetterStatus {
  /** Held here alone, because PostgreSQL does not have them yet. */
  unrecorded: number;
  /** Recorded, and retried by itself because the cause may pass. */
  retrying: number;
  next_retry_at: number | null;
}

/** Rejected when it holds as many as it can: the producer then keeps the batch and waits. */
export const addDeadLetter = defineUpdate<void, [HeldBatch]>('add');
export const redriveDeadLetters = defineUpdate<
  { redriven: string[]; failed: string[] },
  [{ ids: string[] } & By]
>('redrive');
export const discardDeadLetters = defineUpdate<{ discarded: string[] }, [{ ids: string[] } & By]>('discard');
export const deadLetterStatus = defineQuery<DeadLetterStatus>('status');

// ── rule/<id> ────────────────────────────────────────────────────────────────────────────────────

/** The rule, or some window of it, may have changed: its rows say what. */
export const wakeRule = defineSignal('wake');
/** Nobody sends it any more; kept for runs that have it in their history. */
export const ruleChanged = defineSignal('changed');
export interface RuleState {
  evaluations: number;
  firing: number;
  pending: number;
  last_evaluated_at: number | null;
}
export const ruleState = defineQuery<RuleState>('state');

// ── incident/<id> ────────────────────────────────────────────────────────────────────────────────

/** The incident's row or its notices changed: look again. */
export const incidentChanged = defineSignal('changed');
/** Rejected unless it is open. */
export const acknowledgeIncident = defineUpdate<void, [By & { comment?: string }]>('acknowledge');
/** Rejected once it is resolved. Mutes the group until it has been ok once. */
export const resolveIncident = defineUpdate<void, [By & { comment?: string }]>('resolve');
export const commentIncident = defineUpdate<void, [By & { text: string }]>('comment');
export interface IncidentStatus {
  state: string;
  /** Notices still on their way, and when each is tried next (epoch ms). */
  sending: { notice: string; channel: string; attempt: number; next_at: number | null }[];
}
export const incidentStatus = defineQuery<IncidentStatus>('status');
