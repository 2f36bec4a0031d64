/** A process whose heartbeat is older than this has gone quiet, in milliseconds. */
export const QUIET_AFTER_MS = 5_000;

/** How long senders are given to catch up after a gap, in milliseconds: the longest pause of a producer's retries, and a bit. */
export const HOLD_AFTER_GAP_MS = 15_000;

/**
 * How much longer they are given while alerts of Prometheus' stand, in milliseconds: it sends each again a minute after the last time, and
 * one that isn't sent again counts as over.
 */
export const RESENT_WITHIN_MS = 75_000;

/**
 * The longest that a source which is behind, or a process that vanished and wasn't replaced, holds the watermark, in
 * milliseconds: one stuck source must not keep every incident open for ever. /status tells.
 */
export const LONGEST_HOLD_MS = 15 * 60_000;

/** An ingest process, by its last heartbeat. Epoch ms. */
export interface ListeningProcess {
  role: string;
  started_at: number;
  beat_at: number;
  oldest_unappended: number | null;
  held_at: number | null;
  held_until: number | null;
}

/** A running producer: everything before `appended_through` is appended. Epoch ms. */
export interface RunningProducer {
  id: string;
  appended_through: number;
}

/** All who listen, and how much longer than usual their senders are given after a gap, in milliseconds. */
export interface Listeners {
  processes: ListeningProcess[];
  producers: RunningProducer[];
  patience: number;
}

/** Who holds the watermark back, and where. */
export interface Hold {
  who: string;
  at: number;
}

/**
 * How far each listener has come. The least of them is the watermark: the instant up to which everything that happened is
 * appended, as far as anyone here knows. Silence counts only up to there. None listening: time stands still.
 */
export function holdsOf({ processes, producers, patience }: Listeners, now: number): Hold[] {
  const live = processes.filter(({ beat_at }) => now - beat_at <= QUIET_AFTER_MS);
  if (live.length === 0) return [];
  const holds: Hold[] = live.map(({ role, beat_at, oldest_unappended, held_at, held_until }) => ({
    who: role,
    at: Math.min(
      beat_at,
      oldest_unappended ?? beat_at,
      held_at !== null && held_until !== null && held_until + patience > now ? held_at : beat_at,
    ),
  }));
  for (const quiet of processes) {
    if (!live.includes(quiet) && now < endOfHold(quiet, live, patience))
      holds.push({ who: quiet.role, at: quiet.beat_at });
  }
  for (const { id, appended_through } of producers) {
    if (now - appended_through <= LONGEST_HOLD_MS)
      holds.push({ who: id, at: Math.min(now, appended_through) });
  }
  return holds;
}

/** Until when a process that went quiet counts as deaf rather than gone. */
function endOfHold(
  { role, beat_at }: ListeningProcess,
  live: readonly ListeningProcess[],
  patience: number,
): number {
  const peers = live.filter((process) => process.role === role);
  if (peers.length === 0) return beat_at + LONGEST_HOLD_MS;
  // Its senders turned to a peer at once, or to the one that replaced it when that came.
  const since = Math.min(...peers.map(({ started_at }) => Math.max(started_at, beat_at + QUIET_AFTER_MS)));
  return since + HOLD_AFTER_GAP_MS + patience;
}
