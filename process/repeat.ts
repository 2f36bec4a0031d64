/** Work that is repeated until it is stopped. */
export interface Repetition {
  /** Starts no further round, and resolves once the one under way is done. */
  stop(): Promise<void>;
}

/**
 * Does a round at once, and the next ones each so many milliseconds after the last has ended: a slow round
 * delays the others and never meets them.
 * @param round must deal with its own errors: one that rejects, rejects unhandled
 */
export function repeat(round: () => Promise<void>, pauseMs: number): Repetition {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let current = Promise.resolve();
  const next = () => {
    current = round().finally(() => {
      if (!stopped) timer = setTimeout(next, pauseMs);
    });
  };
  next();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await current;
    },
  };
}
