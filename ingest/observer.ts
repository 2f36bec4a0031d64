import type { Ingest, Outcome } from './outcome.ts';

/**
 * Gets what the ingest path does, for metrics. It is called for every event, so its functions must return at
 * once and never throw.
 */
export interface IngestObserver {
  /** Events that were accepted, with their outcomes. */
  answered(outcomes: readonly Outcome[]): void;
  /**
   * The number of events that were refused, or whose outcome is unknown. Their sender will send them again.
   */
  refused(events: number): void;
  /** The number of events that are invalid. */
  invalid(events: number): void;
  /** An append ended after so many milliseconds. */
  appended(append: { events: number; milliseconds: number; committed: boolean }): void;
  /** The time from a commit until the rules concerned are signalled, in milliseconds. */
  woken(milliseconds: number): void;
}

const nothing = () => {};

/** An observer that does nothing. */
export const unobserved: IngestObserver = {
  answered: nothing,
  refused: nothing,
  invalid: nothing,
  appended: nothing,
  woken: nothing,
};

/** Wraps the ingest path so that the observer gets its outcomes. */
export function observed(ingest: Ingest, observer: IngestObserver): Ingest {
  return {
    async accept(events) {
      try {
        const outcomes = await ingest.accept(events);
        observer.answered(outcomes);
        return outcomes;
      } catch (error) {
        observer.refused(events.length);
        throw error;
      }
    },
    async claimTimes(claims) {
      try {
        return await ingest.claimTimes(claims);
      } catch (error) {
        observer.refused(claims.length);
        throw error;
      }
    },
    requireRoom: () => ingest.requireRoom(),
    load: () => ingest.load(),
    stop: () => ingest.stop(),
  };
}

/** Measures how long an append takes, and reports it to the observer. */
export function timed<E, T>(
  append: (events: readonly E[]) => Promise<T>,
  observer: IngestObserver,
): (events: readonly E[]) => Promise<T> {
  return async (events) => {
    const started = performance.now();
    let committed = false;
    try {
      const appended = await append(events);
      committed = true;
      return appended;
    } finally {
      observer.appended({ events: events.length, milliseconds: performance.now() - started, committed });
    }
  };
}
