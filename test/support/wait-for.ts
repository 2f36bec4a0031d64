import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `condition` until it returns something truthy, and resolves to that. If it throws, that counts as
 * "not yet". After `timeoutMs` (default 30,000) it throws an Error with `what`, the last error (mocha does
 * not print causes), and what `seen` returns about the state.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  {
    timeoutMs = 30_000,
    everyMs = 25,
    what,
    seen,
  }: { timeoutMs?: number; everyMs?: number; what: string; seen?: () => unknown },
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
    if (Date.now() >= giveUp) throw new Error(await failureOf(timeoutMs, what, cause, seen), { cause });
    await sleep(everyMs);
  }
}

async function failureOf(timeoutMs: number, what: string, cause: unknown, seen?: () => unknown) {
  const because = [];
  for (let error = cause; error instanceof Error; error = error.cause) because.push(error.message);
  const state =
    seen &&
    (await Promise.resolve()
      .then(seen)
      .catch((error: unknown) => String(error)));
  return [
    `waited ${timeoutMs} ms for ${what}`,
    ...(because.length > 0 ? [`the last error: ${because.join(': ')}`] : []),
    ...(seen ? [`seen: ${JSON.stringify(state)}`] : []),
  ].join('; ');
}
