import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from './process.ts';
import { lastWords, type Role } from './role.ts';
import { StartupError } from './startup-error.ts';

const patienceMs = 180_000;
const tellEveryMs = 15_000;

/**
 * Waits until `isReady` is true. Throws StartupError when `role`, which it depends on, ends before that, and after
 * three minutes.
 */
export async function ready(
  what: string,
  isReady: () => Promise<boolean>,
  role: { current(): Role; logFile: string },
  log: Log,
): Promise<void> {
  const first = role.current();
  const started = Date.now();
  let told = started;
  while (!(await isReady().catch(() => false))) {
    if (first.hasExited())
      throw new StartupError(`${what} did not start: ${lastWords(first.output(), role.logFile)}`);
    if (Date.now() - started > patienceMs) {
      throw new StartupError(
        `${what} did not become ready in ${patienceMs / 1000} s: its log is ${role.logFile}.`,
      );
    }
    if (Date.now() - told > tellEveryMs) {
      told = Date.now();
      log(`${what} is still starting`);
    }
    await sleep(100);
  }
}

/** True when the API can serve: PostgreSQL answers it. */
export async function apiIsReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
  await response.body?.cancel();
  return response.status === 200;
}

/** True when the API says that workers poll for every kind of work. */
export async function workersRun(url: string): Promise<boolean> {
  const response = await fetch(`${url}/status`, { signal: AbortSignal.timeout(5_000) });
  const status = (await response.json()) as { workers?: unknown };
  return response.ok && Boolean(status.workers);
}
