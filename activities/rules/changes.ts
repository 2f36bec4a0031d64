import type { GroupStanding, LastStanding } from '../../db/queries/rules/judging.ts';
import type { PendingRow } from '../../db/queries/rules/pending.ts';
import type { Change } from '../../domain/rules/walk.ts';

/**
 * Returns where the recorded incidents may be wrong:
 * - where events came; if the group's standing is `unproven`, also everywhere after them;
 * - after the deadline of the last judging, because the group may have stopped firing then, long before the
 * event; if it was pending, after its condition began to hold;
 * - after the first deferred episode began, because no incident records it.
 */
export function changesOf(
  pending: readonly Pick<PendingRow, 'from_at' | 'to_at'>[],
  { state, since, next_due, deferred_from, unproven }: LastStanding,
): Change[] {
  const changes: Change[] = pending.map(({ from_at, to_at }) => ({
    from: from_at,
    to: unproven ? Number.POSITIVE_INFINITY : to_at,
  }));
  const from: (number | null)[] = [deferred_from];
  if (state !== 'ok') from.push(next_due);
  if (state === 'pending') from.push(since);
  const given = from.filter((at) => at !== null);
  if (given.length > 0) changes.push({ from: Math.min(...given), to: Number.POSITIVE_INFINITY });
  return changes;
}

type Came = Pick<PendingRow, 'late' | 'from_at' | 'to_at'>;

/**
 * The events among which the deferred episodes began, as an earlier judging stored them. They are treated
 * like new events.
 */
export function deferredBefore({ since, deferred_from, deferred_late }: GroupStanding): Came[] {
  if (deferred_from === null) return [];
  return [{ late: deferred_late === true, from_at: deferred_from, to_at: since ?? deferred_from }];
}

/**
 * Says whether an episode is late: it began among events that came late, and not among events that came in
 * time.
 */
export function cameLate(pending: readonly Came[], since: number, windowMs: number): boolean {
  const inTime = pending.some(({ late, from_at, to_at }) => !late && from_at <= since && since <= to_at);
  return (
    !inTime &&
    pending.some(({ late, from_at, to_at }) => late && from_at <= since && since <= to_at + windowMs)
  );
}
