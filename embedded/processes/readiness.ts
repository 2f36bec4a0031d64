import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../startup-error.ts';
import type { Log } from './process.ts';
import { lastWords, type Role } from './role.ts';

const patienceMs = 180_000;
const tellEveryMs = 15_000;

/**
 * Waits until `isReady` returns true.
 * @throws StartupError after three minutes, or if `role`, which it depends on, ends before
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

/** Says whether the API can serve requests, which requires PostgreSQL. */
export async function apiIsReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
  await response.body?.cancel();
  return response.status === 200;
}

/** The authorization header for a key; no header without a key. */
export function bearer(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

/**
 * Says whether the API reports a worker for every role, and at least one that started after `since` (epoch
 * milliseconds). Workers of an earlier start count as alive for a few more seconds.
 */
export async function workersRun(url: string, since: number, key?: string): Promise<boolean> {
  const response = await fetch(`${url}/status`, {
    headers: bearer(key),
    signal: AbortSignal.timeout(5_000),
  });
  const status = (await response.json()) as {
    workers: boolean;
    processes?: { role: string; started_at: string; alive: boolean }[];
  };
  const isNew = ({ role, alive, started_at }: { role: string; alive: boolean; started_at: string }) =>
    role !== 'api' && alive && Date.parse(started_at) >= since;
  return status.workers && (status.processes ?? []).some(isNew);
}
