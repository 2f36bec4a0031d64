import type { Ingest, Outcome } from './outcome.ts';

/**
 * Hears what the way in does, to count it. Called on the way of every event: it returns at once, and never
 * throws.
 */
export interface IngestObserver {
  /** What became of events that were accepted. */
  answered(outcomes: readonly Outcome[]): void;
  /** So many events were turned away, or nothing is known of their outcome; their sender comes again. */
  refused(events: number): void;
  /** So many events can't be stored as they are. */
  invalid(events: number): void;
  /** An append ended, after so many milliseconds. */
  appended(append: { events: number; milliseconds: number; committed: boolean }): void;
  /** From a commit until the rules that it concerns are signalled, in milliseconds. */
  woken(milliseconds: number): void;
}

const nothing = () => {};

/** For those who don't count. */
export const unobserved: IngestObserver = {
  answered: nothing,
  refused: nothing,
  invalid: nothing,
  appended: nothing,
  woken: nothing,
};

/** A way in whose answers are counted. */
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

/** Tells the observer how long a piece of appending takes. */
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
