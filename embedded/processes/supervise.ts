import { forget, remember } from './orphans.ts';
import { type Exit, isStopping, type Log, within } from './process.ts';

/** A running program that may also end by itself. */
export type Running = { pid: number; exited: Promise<Exit>; stop(): Promise<void> };

export type Supervised<T extends Running> = {
  /** The program that runs now. It is another one after a restart. */
  current(): T;
  /** Stops the program for good. */
  stop(): Promise<void>;
};

const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** A program that ran at least this long is restarted without a long pause, in milliseconds. */
const stableMs = 60_000;

/**
 * Starts a program and restarts it whenever it ends by itself. The pause before a restart grows from half a
 * second to 30 s. The function throws what the first start throws. Later failures are printed, and the start
 * is tried again.
 */
export async function supervise<T extends Running>(
  name: string,
  start: (previous: T | undefined) => Promise<T>,
  { runDir, log }: { runDir: string; log: Log },
): Promise<Supervised<T>> {
  const stopping = Promise.withResolvers<void>();
  let stopped = false;
  let current = await startNoted(undefined);
  const watch = keepRunning();

  async function startNoted(previous: T | undefined): Promise<T> {
    const running = await start(previous);
    try {
      remember(runDir, name, running.pid);
    } catch (error) {
      // A program that is not recorded would be left running, so it is stopped.
      await running.stop();
      throw error;
    }
    return running;
  }

  async function keepRunning(): Promise<void> {
    let pauseMs = firstPauseMs;
    while (!stopped) {
      const since = Date.now();
      const exit = await current.exited;
      if (stopped || isStopping()) return;
      if (Date.now() - since > stableMs) pauseMs = firstPauseMs;
      log(`${name} ended (${how(exit)}); starting it again in ${pauseMs / 1000} s`);
      for (let again = false; !again && !stopped; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
        if (await within(pauseMs, stopping.promise)) return;
        again = await restart();
      }
    }
  }

  async function restart(): Promise<boolean> {
    try {
      current = await startNoted(current);
      log(`${name} runs again`);
      return true;
    } catch (error) {
      log(`${name}: ${error instanceof Error ? error.message : error}`);
      return false;
    }
  }

  return {
    current: () => current,
    async stop() {
      stopped = true;
      stopping.resolve();
      await current.stop();
      // A restart may have been in progress. Then there is a newer program by now.
      await watch;
      await current.stop();
      forget(runDir, name);
    },
  };
}

function how({ code, signal }: Exit): string {
  return signal ? `killed by ${signal}` : `exit code ${code}`;
}
