import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { beat, databaseNow, leave } from '../db/queries/system/heartbeat.ts';
import { QUIET_AFTER_MS } from '../domain/rules/watermark.ts';
import type { IngestLoad } from '../ingest/outcome.ts';
import type { Deafness } from './deafness.ts';
import { repeat } from './repeat.ts';

const EVERY_MS = 1000;

export interface Heartbeat {
  /** Milliseconds since PostgreSQL last took a beat; null before the first. */
  age(): number | null;
  /**
   * Takes the process off the record. One that took events says there that it ended in order: if no other
   * takes its place, nobody hears its senders, and the watermark must not pass over that.
   */
  stop(): Promise<void>;
}

/** A process that takes events: what it holds, and what it did not hear. */
export interface Hearing {
  load: () => IngestLoad;
  deafness: Deafness;
}

/**
 * Says once a second, in this process's row, that it lives, what it has not appended and what it did not
 * hear. Times are the database's: it is asked for its clock first, and what is said then holds up to that
 * instant. So neither a clock that is wrong nor a connection that hangs makes a beat look younger than it is.
 *
 * After a gap (PostgreSQL was away, the process was stopped) the time since the last beat counts as unheard.
 * @param hearing absent for processes that take no events
 */
export function startHeartbeat({
  orm,
  role,
  log,
  hearing,
}: {
  orm: Orm;
  role: string;
  log: Logger;
  hearing?: Hearing;
}): Heartbeat {
  const id = hearing?.deafness.process.id ?? crypto.randomUUID();
  let startedAt: number | null = null;
  let lastBeat: number | null = null;
  /** By `performance.now()`. */
  let takenAt: number | null = null;

  const tick = async (stopping = false) => {
    try {
      const now = await databaseNow(sqlOf(orm));
      startedAt ??= now;
      if (lastBeat !== null && now - lastBeat > QUIET_AFTER_MS) hearing?.deafness.gap();
      const load = hearing?.load() ?? { buffered: 0, inFlight: 0, oldestUnappended: null };
      const deaf = hearing?.deafness.spansAt(now) ?? [];
      const ending = stopping && load.buffered === 0 && load.inFlight === 0 && load.oldestUnappended === null;
      const ingests = hearing !== undefined;
      try {
        await beat(sqlOf(orm), { id, role, startedAt, now, ingests, load, deaf, ending });
      } catch (error) {
        hearing?.deafness.unrecorded(deaf);
        throw error;
      }
      hearing?.deafness.recorded(now, deaf);
      lastBeat = now;
      takenAt = performance.now();
    } catch (error) {
      log.warn({ err: error }, 'heartbeat failed');
    }
  };
  const beats = repeat(() => tick(), EVERY_MS);

  return {
    age: () => (takenAt === null ? null : performance.now() - takenAt),
    async stop() {
      await beats.stop();
      if (hearing) return tick(true);
      try {
        await leave(sqlOf(orm), id);
      } catch (error) {
        log.warn({ err: error }, 'could not remove the row of this process');
      }
    },
  };
}
