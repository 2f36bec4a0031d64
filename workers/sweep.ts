import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { signalIncidents } from '../activities/signal-incidents.ts';
import { type Orm, sqlOf } from '../db/orm.ts';
import { overdueNotices, stillOverdue } from '../db/queries/overdue-notices.ts';
import { rearmRefreshed } from '../db/queries/received-judging.ts';
import { takeDue, takeOutbox, takeUnanswered } from '../db/queries/wake.ts';
import { advanceWatermark, listeners } from '../db/queries/watermark.ts';
import { holdsOf } from '../domain/watermark.ts';
import { type Repetition, repeat } from '../ingest/repeat.ts';
import { signalRules } from '../ingest/signal-rule.ts';

const EVERY_MS = 1000;
/** Outbox rows this old were left behind by the process that wrote them. */
const LEFTOVER_MS = 2000;
/** A rule that hasn't answered a wake for this long is signalled again. */
const UNANSWERED_MS = 5000;
/** Notices this old that nobody has taken up are signalled again, and then ever less often. */
const OVERDUE_MS = 15_000;

/**
 * Once a second: moves the watermark on, takes the groups whose deadline has come, and does what a crash left undone
 * between a commit and its signal. Any number may run at once: each row is taken by one of them.
 */
export function startSweep({
  orm,
  client,
  clock,
  log,
}: {
  orm: Orm;
  client: Client;
  clock: () => number;
  log: Logger;
}): Repetition {
  const signalled = new Map<string, { next: number; pause: number }>();

  const sweep = async () => {
    const db = sqlOf(orm);
    const now = clock();
    const holds = holdsOf(await listeners(db), now);
    const reached = holds.length === 0 ? 0 : Math.min(now, ...holds.map(({ at }) => at));
    const watermark = await advanceWatermark(db, reached, now);
    await rearmRefreshed(db, watermark);
    const rules = new Set([
      ...(await takeOutbox(db, null, LEFTOVER_MS)),
      ...(await takeDue(db, { now, watermark })),
      ...(await takeUnanswered(db, UNANSWERED_MS)),
    ]);
    await signalRules(client, [...rules], log);

    const before = now - OVERDUE_MS;
    const resting = [...signalled].flatMap(([id, { next }]) => (next > now ? [id] : []));
    const waiting = resting.length === 0 ? [] : await stillOverdue(db, before, resting);
    // Those that wait must not take the places of others: any number may be stuck at once.
    const due = await overdueNotices(db, before, waiting);
    const overdue = new Set([...waiting, ...due]);
    for (const id of signalled.keys()) if (!overdue.has(id)) signalled.delete(id);
    for (const id of due) {
      const pause = (signalled.get(id)?.pause ?? OVERDUE_MS) * 2;
      signalled.set(id, { next: now + pause, pause });
    }
    await signalIncidents(client, due, log);
  };
  const failed = (error: unknown) => log.warn({ err: error }, 'sweep failed; it is repeated in a second');
  return repeat(() => sweep().catch(failed), EVERY_MS);
}
