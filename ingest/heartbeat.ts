import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { beat, leave } from '../db/queries/heartbeat.ts';
import { HOLD_AFTER_GAP_MS, QUIET_AFTER_MS, RESENT_WITHIN_MS } from '../domain/watermark.ts';
import type { IngestLoad } from './outcome.ts';
import { repeat } from './repeat.ts';

const EVERY_MS = 1000;

export interface Heartbeat {
  /** Milliseconds since PostgreSQL last took a beat; null before the first. */
  age(): number | null;
  /**
   * Takes the process off the record. One that took events stays there, quiet: if no other takes its place, nobody hears
   * its senders, and the watermark must not pass over that.
   */
  stop(): Promise<void>;
}

/**
 * Says once a second, in this process's row, that it lives and what it has not appended. After a gap (PostgreSQL was away, the
 * process was stopped) it holds the watermark at its last beat for a while: what senders could not send meanwhile
 * is still to come.
 * @param load absent for processes that take no events
 */
export function startHeartbeat({
  orm,
  role,
  clock,
  log,
  load,
}: {
  orm: Orm;
  role: string;
  clock: () => number;
  log: Logger;
  load?: () => IngestLoad;
}): Heartbeat {
  const id = crypto.randomUUID();
  const startedAt = clock();
  let lastBeat = startedAt;
  let beaten = false;
  let held: { at: number; until: number } | null = null;

  const tick = async () => {
    const now = clock();
    if (now - lastBeat > QUIET_AFTER_MS && load) {
      held = {
        at: held && held.until + RESENT_WITHIN_MS > lastBeat ? Math.min(held.at, lastBeat) : lastBeat,
        until: now + HOLD_AFTER_GAP_MS,
      };
    }
    try {
      await beat(sqlOf(orm), {
        id,
        role,
        startedAt,
        now,
        ingests: load !== undefined,
        load: load?.() ?? { buffered: 0, inFlight: 0, oldestUnappended: null },
        // Kept for those who have the longest patience.
        held: held && held.until + RESENT_WITHIN_MS > now ? held : null,
      });
      lastBeat = now;
      beaten = true;
    } catch (error) {
      log.warn({ err: error }, 'heartbeat failed');
    }
  };
  const beats = repeat(tick, EVERY_MS);

  return {
    age: () => (beaten ? clock() - lastBeat : null),
    async stop() {
      await beats.stop();
      // The last word of one that took events: it holds nothing any more.
      if (load) return tick();
      try {
        await leave(sqlOf(orm), id);
      } catch (error) {
        log.warn({ err: error }, 'could not take the process off the record');
      }
    },
  };
}
