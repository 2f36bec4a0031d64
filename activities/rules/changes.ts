import type { GroupStanding, LastStanding } from '../../db/queries/judging.ts';
import type { PendingRow } from '../../db/queries/pending.ts';
import type { Change } from '../../domain/walk.ts';

/**
 * Where the record may be wrong: where events came; from the deadline of what was judged before on, because a group may have
 * stopped firing then, long before the event; from the first deferred episode on, which is on no record; and from the first event
 * on, where the group's standing proves nothing.
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

/** What earlier passes knew of the events that deferred episodes began among, as if those had come just now. */
export function deferredBefore({ since, deferred_from, deferred_late }: GroupStanding): Came[] {
  if (deferred_from === null) return [];
  return [{ late: deferred_late === true, from_at: deferred_from, to_at: since ?? deferred_from }];
}

/** Late is what began among events that came late, and not among those that came in time. */
export function cameLate(pending: readonly Came[], since: number, windowMs: number): boolean {
  const inTime = pending.some(({ late, from_at, to_at }) => !late && from_at <= since && since <= to_at);
  return (
    !inTime &&
    pending.some(({ late, from_at, to_at }) => late && from_at <= since && since <= to_at + windowMs)
  );
}
