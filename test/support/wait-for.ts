import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Polls until `condition` returns something truthy and resolves to that. An error it throws counts as "not
 * yet". Throws an Error naming `what` after `timeoutMs` (default 30,000), with the last error as its cause.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 30_000, everyMs = 25, what }: { timeoutMs?: number; everyMs?: number; what: string },
): Promise<NonNullable<Awaited<T>>> {
  const giveUp = Date.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as NonNullable<Awaited<T>>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() >= giveUp) throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause });
    await sleep(everyMs);
  }
}
