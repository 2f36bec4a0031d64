/** Work that is repeated until it is stopped. */
export interface Repetition {
  /** Starts no further round, and resolves once the current one has ended. */
  stop(): Promise<void>;
}

/**
 * Runs `round` now, and again each time `pauseMs` milliseconds after it ended. So rounds never overlap; a
 * slow one delays the next.
 * @param round must handle its own errors: a rejection would be unhandled
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
