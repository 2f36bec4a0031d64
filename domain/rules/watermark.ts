import { type DeafSpan, isCapped, spanHolds } from '../system/deafness.ts';

/** A process whose heartbeat is older than this counts as quiet, in milliseconds. */
export const QUIET_AFTER_MS = 5_000;

/**
 * How long senders get to catch up after a gap, in milliseconds: a bit more than the longest pause between a
 * producer's retries.
 */
export const HOLD_AFTER_GAP_MS = 15_000;

/**
 * How much longer they get while alerts of Prometheus are active, in milliseconds. Prometheus repeats each
 * alert once a minute, and an alert that is not repeated counts as over.
 */
export const RESENT_WITHIN_MS = 75_000;

/**
 * The longest that a single late source, or a single refused sender, holds the watermark, in milliseconds.
 * Otherwise it could keep every incident open for ever. /status shows it.
 */
export const LONGEST_HOLD_MS = 15 * 60_000;

/** An ingest process with its last heartbeat. Epoch ms, by the database's clock. */
export interface ListeningProcess {
  id: string;
  role: string;
  started_at: number;
  beat_at: number;
  oldest_unappended: number | null;
  /** True if it ended in order and held nothing. Its last heartbeat says when. */
  ended: boolean;
  /**
   * True if a person retired it. It holds nothing, but until then it may have received events in the place of
   * another.
   */
  retired: boolean;
}

/** A running producer. Everything before `appended_through` is appended. Epoch ms. */
export interface RunningProducer {
  id: string;
  appended_through: number;
}

/** All who receive or emit events, and the deaf spans. */
export interface Listeners {
  processes: ListeningProcess[];
  producers: RunningProducer[];
  /** Deaf spans whose senders may still come back. */
  deaf: DeafSpan[];
  /** How much additional time senders get to send again after a gap, in milliseconds. */
  patience: number;
}

/** What holds the watermark back, and where. */
export interface Hold {
  who: string;
  at: number;
  /**
   * The id of a dead process that no other has replaced. It holds the watermark until one does, or somebody
   * retires it.
   */
  gone?: string;
}

/**
 * Says how far each process and producer has come. The lowest of these times is the watermark: the instant up
 * to which everything that happened is appended, as far as Tocsin knows. If nobody receives events, the
 * watermark does not move.
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
 * Deaf spans that those concerned cannot write: of processes that vanished, and of producers that are too far
 * behind to be waited for.
 * @param now epoch ms, by the database's clock
 */
export function spansOfTheAbsent({ processes, producers, patience }: Listeners, now: number): DeafSpan[] {
  const lost = quietOnes({ processes, producers, patience }, now)
    // A process that ended in order lost nothing, and another one received the events of its senders.
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
 * Producers that are no longer waited for, and how far behind each is, in milliseconds. Incidents end
 * although their events are missing.
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

/** The deaf span of a vanished process, as of `now`. */
export function lostSpan(process: ListeningProcess, now: number): DeafSpan {
  const { id, role: name } = process;
  const times = { from_at: reachOf(process), to_at: now, held_until: null };
  return { whose: 'process', id, name, reason: 'lost', ...times };
}

function isLive({ beat_at, ended, retired }: ListeningProcess, now: number): boolean {
  return !ended && !retired && now - beat_at <= QUIET_AFTER_MS;
}

/** The time up to which a process has appended everything it received. */
function reachOf({ beat_at, oldest_unappended }: ListeningProcess): number {
  return Math.min(beat_at, oldest_unappended ?? beat_at);
}

/** Quiet processes that still count as deaf, and whether other processes receive events in their place. */
function quietOnes({ processes, producers, patience }: Omit<Listeners, 'deaf'>, now: number) {
  const hold = HOLD_AFTER_GAP_MS + patience;
  return processes.flatMap((quiet) => {
    if (quiet.retired || isLive(quiet, now)) return [];
    // An ingest worker receives events only from producers. If none runs, nobody is unheard.
    if (quiet.ended && quiet.role === 'ingest' && producers.length === 0) return [];
    const quietAt = quiet.ended ? quiet.beat_at : quiet.beat_at + QUIET_AFTER_MS;
    let replaced = false;
    for (const other of processes) {
      if (other.role !== quiet.role || other === quiet) continue;
      // Its senders went to another process at once, or to its replacement when that started.
      const since = Math.max(other.started_at, quietAt);
      const until = isLive(other, now) ? now : other.beat_at;
      if (until - since >= hold) return [];
      replaced ||= until === now;
    }
    // As long as nobody replaces it, nobody hears its senders.
    return [{ quiet, replaced }];
  });
}
