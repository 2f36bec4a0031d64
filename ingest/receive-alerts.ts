import type { MergeOutcome, ReceivedAlert } from '../domain/received-alert.ts';
import type { InvalidEvent } from './validate.ts';

/** What became of one received alert. */
export type Received =
  | { status: 'accepted'; outcome: MergeOutcome }
  | { status: 'invalid'; errors: InvalidEvent[] };

/** The way in for alerts that somebody else judged. */
export interface AlertReceiver {
  /**
   * Puts messages on record and resolves once that is committed, with one result each, in their order; one that is invalid costs
   * the others nothing. Incidents follow by the built-in rules, also if Temporal is away now. Sending again is safe.
   * @param by who sent them, for timelines
   * @throws StoreUnavailable: nothing is known of what is on record
   */
  receive(alerts: readonly ReceivedAlert[], by: string): Promise<Received[]>;
  /** Accepts no more, ends what is under way, and resolves. */
  stop(): Promise<void>;
}
