import { type DeafSpan, isCapped, spanHolds } from '../system/deafness.ts';

/** A process whose heartbeat is older than this has gone quiet, in milliseconds. */
export const QUIET_AFTER_MS = 5_000;

/**
 * How long senders are given to catch up after a gap, in milliseconds: the longest pause of a producer's
 * retries, and a bit.
 */
export const HOLD_AFTER_GAP_MS = 15_000;

/**
 * How much longer they are given while alerts of Prometheus' stand, in milliseconds: it sends each again a
 * minute after the last time, and one that isn't sent again counts as over.
 */
export const RESENT_WITHIN_MS = 75_000;

/**
 * The longest that one source which is behind, or one sender that is refused for its own sake, holds the
 * watermark, in milliseconds: it must not keep every incident open for ever. /status tells.
 */
export const LONGEST_HOLD_MS = 15 * 60_000;

/** An ingest process, by its last heartbeat. Epoch ms, by the database's clock. */
export interface ListeningProcess {
  id: string;
  role: string;
  started_at: number;
  beat_at: number;
  oldest_unappended: number | null;
  /** It ended in order, and held nothing any more. Its last beat says when. */
  ended: boolean;
  /**
   * A person said that it is gone for good: it holds nothing, but may have listened in the place of another
   * until then.
   */
  retired: boolean;
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
  /**
   * The id of a process that is gone and that no other has replaced: it holds until one does, or somebody
   * retires it.
   */
  gone?: string;
}

/**
 * How far each listener has come. The least of them is the watermark: the instant up to which everything that
 * happened is appended, as far as anyone here knows. Silence counts only up to there. None listening: time
 * stands still.
 * @param now epoch ms, by the database's clock
 */
export function holdsOf({ processes, producers, deaf, patience }: Listeners, now: number): Hold[] {
  const live = processes.filter((process) => isLive(process, now));
  if (live.length === 0) return [];
  const holds: Hold[] = live.map((process) => ({ who: process.role, at: reachOf(process) }));
  for (const { quiet, replaced } of quietOnes({ processes, producers, patience }, now)) {
    holds.push({ who: quiet.role, at: reachOf(quiet), ...(replaced ? {} : { gone: quiet.id }) });
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
 * Spans that nobody in them can write: of processes that vanished, and of producers that are too far behind
 * to be waited for.
 * @param now epoch ms, by the database's clock
 */
export function spansOfTheAbsent({ processes, producers, patience }: Listeners, now: number): DeafSpan[] {
  const lost = quietOnes({ processes, producers, patience }, now)
    // Who ended in order had lost nothing, and a peer listened to its senders.
    .filter(({ quiet, replaced }) => !(quiet.ended && replaced))
    .map(({ quiet }) => lostSpan(quiet, now));
  const stuck = producers
    .filter(({ appended_through }) => now - appended_through > LONGEST_HOLD_MS)
    .map(({ id, appended_through }): DeafSpan => {
      const span = { whose: 'source', id, name: id, reason: 'stuck' } as const;
      return { ...span, from_at: appended_through, to_at: now, held_until: null };
    });
  return [...lost, ...stuck];
}

/**
 * Who is not waited for any longer, and how far behind it is, in milliseconds: its silence ends incidents.
 */
export function givenUp({ producers, deaf }: Listeners, now: number): { who: string; behind: number }[] {
  const behind = [
    ...producers.map(({ id, appended_through: at }) => ({ who: `producer ${id}`, behind: now - at })),
    ...deaf
      .filter((span) => isCapped(span.reason))
      .map(({ name, reason, from_at: at }) => ({ who: `${name} (${reason})`, behind: now - at })),
  ];
  return behind.filter((one) => one.behind > LONGEST_HOLD_MS);
}

/** The deaf span of a process that vanished, as of `now`. */
export function lostSpan(process: ListeningProcess, now: number): DeafSpan {
  const { id, role: name } = process;
  const times = { from_at: reachOf(process), to_at: now, held_until: null };
  return { whose: 'process', id, name, reason: 'lost', ...times };
}

function isLive({ beat_at, ended, retired }: ListeningProcess, now: number): boolean {
  return !ended && !retired && now - beat_at <= QUIET_AFTER_MS;
}

/** Up to where a process has appended what it heard. */
function reachOf({ beat_at, oldest_unappended }: ListeningProcess): number {
  return Math.min(beat_at, oldest_unappended ?? beat_at);
}

/**
 * Processes that went quiet and still count as deaf rather than gone, and whether others listen in their
 * place.
 */
function quietOnes({ processes, producers, patience }: Omit<Listeners, 'deaf'>, now: number) {
  const hold = HOLD_AFTER_GAP_MS + patience;
  return processes.flatMap((quiet) => {
    if (quiet.retired || isLive(quiet, now)) return [];
    // Producers are all that an ingest worker hears: where none runs, nobody is unheard.
    if (quiet.ended && quiet.role === 'ingest' && producers.length === 0) return [];
    const quietAt = quiet.ended ? quiet.beat_at : quiet.beat_at + QUIET_AFTER_MS;
    let replaced = false;
    for (const other of processes) {
      if (other.role !== quiet.role || other === quiet) continue;
      // Its senders turned to a peer at once, or to the one that replaced it when that came.
      const since = Math.max(other.started_at, quietAt);
      const until = isLive(other, now) ? now : other.beat_at;
      if (until - since >= hold) return [];
      replaced ||= until === now;
    }
    // While nobody takes its place, nobody hears its senders, however long that lasts.
    return [{ quiet, replaced }];
  });
}
