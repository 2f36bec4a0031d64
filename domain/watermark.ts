import { type DeafSpan, isCapped, spanHolds } from './deafness.ts';

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
 * The longest that one source which is behind, or one sender that is refused for its own sake, holds the watermark, in milliseconds:
 * it must not keep every incident open for ever. /status tells.
 */
export const LONGEST_HOLD_MS = 15 * 60_000;

/** An ingest process, by its last heartbeat. Epoch ms, by the database's clock. */
export interface ListeningProcess {
  id: string;
  role: string;
  started_at: number;
  beat_at: number;
  oldest_unappended: number | null;
}

/** A running producer: everything before `appended_through` is appended. Epoch ms. */
export interface RunningProducer {
  id: string;
  appended_through: number;
}

/** All who listen, and whom they did not hear. */
export interface Listeners {
  processes: ListeningProcess[];
  producers: RunningProducer[];
  /** Spans whose senders may still come back. */
  deaf: DeafSpan[];
  /** How much longer than usual senders are given after a gap, in milliseconds. */
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
 * @param now epoch ms, by the database's clock
 */
export function holdsOf({ processes, producers, deaf, patience }: Listeners, now: number): Hold[] {
  const live = processes.filter((process) => isLive(process, now));
  if (live.length === 0) return [];
  const holds: Hold[] = live.map((process) => ({ who: process.role, at: reachOf(process) }));
  for (const quiet of quietOnes(processes, patience, now)) {
    holds.push({ who: quiet.role, at: reachOf(quiet) });
  }
  for (const { id, appended_through } of producers) {
    if (now - appended_through <= LONGEST_HOLD_MS)
      holds.push({ who: id, at: Math.min(now, appended_through) });
  }
  for (const span of deaf) {
    if (spanHolds(span, { now, patience, longest: LONGEST_HOLD_MS })) {
      holds.push({ who: `${span.name} (${span.reason})`, at: span.from_at });
    }
  }
  return holds;
}

/**
 * Spans that nobody in them can write: of processes that vanished, and of producers that are too far behind to be waited for.
 * @param now epoch ms, by the database's clock
 */
export function spansOfTheAbsent({ processes, producers, patience }: Listeners, now: number): DeafSpan[] {
  const lost = quietOnes(processes, patience, now).map((quiet): DeafSpan => {
    const { id, role: name } = quiet;
    return {
      whose: 'process',
      id,
      name,
      reason: 'lost',
      from_at: reachOf(quiet),
      to_at: now,
      held_until: null,
    };
  });
  const stuck = producers
    .filter(({ appended_through }) => now - appended_through > LONGEST_HOLD_MS)
    .map(({ id, appended_through }): DeafSpan => {
      const span = { whose: 'source', id, name: id, reason: 'stuck' } as const;
      return { ...span, from_at: appended_through, to_at: now, held_until: null };
    });
  return [...lost, ...stuck];
}

/** Who is not waited for any longer, and how far behind it is, in milliseconds: its silence ends incidents. */
export function givenUp({ producers, deaf }: Listeners, now: number): { who: string; behind: number }[] {
  const behind = [
    ...producers.map(({ id, appended_through: at }) => ({ who: `producer ${id}`, behind: now - at })),
    ...deaf
      .filter((span) => isCapped(span.reason))
      .map(({ name, reason, from_at: at }) => ({ who: `${name} (${reason})`, behind: now - at })),
  ];
  return behind.filter((one) => one.behind > LONGEST_HOLD_MS);
}

function isLive({ beat_at }: ListeningProcess, now: number): boolean {
  return now - beat_at <= QUIET_AFTER_MS;
}

/** Up to where a process has appended what it heard. */
function reachOf({ beat_at, oldest_unappended }: ListeningProcess): number {
  return Math.min(beat_at, oldest_unappended ?? beat_at);
}

/** Processes that went quiet and still count as deaf rather than gone. */
function quietOnes(processes: readonly ListeningProcess[], patience: number, now: number) {
  const live = processes.filter((process) => isLive(process, now));
  return processes.filter((process) => !isLive(process, now) && now < endOfHold(process, live, patience));
}

/** Until when a process that went quiet counts as deaf. */
function endOfHold(
  { role, beat_at }: ListeningProcess,
  live: readonly ListeningProcess[],
  patience: number,
): number {
  const peers = live.filter((process) => process.role === role);
  // Nobody took its place: nobody hears its senders, however long that lasts.
  if (peers.length === 0) return Number.POSITIVE_INFINITY;
  // Its senders turned to a peer at once, or to the one that replaced it when that came.
  const since = Math.min(...peers.map(({ started_at }) => Math.max(started_at, beat_at + QUIET_AFTER_MS)));
  return since + HOLD_AFTER_GAP_MS + patience;
}
