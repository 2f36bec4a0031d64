import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { beat, databaseNow, leave } from '../db/queries/system/heartbeat.ts';
import { QUIET_AFTER_MS } from '../domain/rules/watermark.ts';
import type { IngestLoad } from '../ingest/outcome.ts';
import type { Deafness } from './deafness.ts';
import { repeat } from './repeat.ts';

const EVERY_MS = 1000;

export interface Heartbeat {
  /** Milliseconds since PostgreSQL last recorded a heartbeat; null before the first. */
  age(): number | null;
  /**
   * Stops the heartbeat and records that the process ended in order. If it received events and no other
   * process takes its place, nobody hears its senders, so the watermark must not pass that time.
   */
  stop(): Promise<void>;
}

/** A process that receives events: what it holds, and its deaf spans. */
export interface Hearing {
  load: () => IngestLoad;
  deafness: Deafness;
}

/**
 * Writes a heartbeat once a second: that the process lives, which events it has not appended yet, and its
 * deaf spans. It first asks PostgreSQL for the time and then collects these facts, so they hold at least up
 * to that time. Because the time is PostgreSQL's and precedes the facts, neither a wrong local clock nor a
 * slow connection makes a heartbeat look newer than it is.
 *
 * After a gap (PostgreSQL was down, or the process was suspended), the time since the last heartbeat becomes
 * a deaf span.
 * @param hearing absent for processes that receive no events
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
  /** When PostgreSQL last recorded a heartbeat, by `performance.now()`. */
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
