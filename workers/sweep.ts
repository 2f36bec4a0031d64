import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { overdueNotices, stillOverdue } from '../db/queries/incidents/overdue-notices.ts';
import { rearmRefreshed } from '../db/queries/received-alerts/judging.ts';
import { readWatermark } from '../db/queries/rules/judging.ts';
import { takeDue, takeOutbox, takeUnanswered } from '../db/queries/rules/wake.ts';
import { advanceWatermark, listeners } from '../db/queries/rules/watermark.ts';
import { extendSpans } from '../db/queries/system/deaf-spans.ts';
import { holdsOf, spansOfTheAbsent } from '../domain/rules/watermark.ts';
import { type Repetition, repeat } from '../process/repeat.ts';
import { incidentSignals } from '../temporal-config/signals/incidents.ts';
import { ruleSignals } from '../temporal-config/signals/rules.ts';

const EVERY_MS = 1000;
/** Outbox rows of this age were left behind by a process that died, in milliseconds. */
const LEFTOVER_MS = 2000;
/** A rule that has not reacted to a wake for this long is signalled again, in milliseconds. */
const UNANSWERED_MS = 5000;
/** Notices that nobody delivers for this long are signalled again, then less and less often. Milliseconds. */
const OVERDUE_MS = 15_000;

export interface SweepDeps {
  orm: Orm;
  client: Client;
  /**
   * Epoch milliseconds, by this process's clock, which decides whether deadlines have come. The watermark
   * uses the database's clock.
   */
  clock: () => number;
  log: Logger;
}

/**
 * Runs three loops, each once a second. The first advances the watermark. The second takes groups whose
 * deadline has come, and work that a crash left between a commit and its signal. The third looks for notices
 * that nobody delivers. No loop waits for another or for Temporal, because signals are sent by a queue.
 * Several processes may sweep at the same time: a row is taken by only one of them.
 */
export function startSweep({ orm, client, clock, log }: SweepDeps): Repetition {
  const rules = ruleSignals({ orm, client }, log);
  const incidents = incidentSignals({ orm, client }, log);
  const due = overdueIncidents(orm, clock);
  const rounds: [what: string, round: () => Promise<void>][] = [
    ['the watermark', () => moveWatermark(orm)],
    ['rules that are due', async () => void rules.add(await dueRules(orm, clock()))],
    ['incidents that are due', async () => void incidents.add(await due())],
  ];
  const running = rounds.map(([what, round]) =>
    repeat(
      () =>
        round().catch((error: unknown) =>
          log.warn({ err: error, what }, 'a round of the sweep failed; it is repeated after a second'),
        ),
      EVERY_MS,
    ),
  );
  return {
    async stop() {
      await Promise.all([...running, rules, incidents].map((part) => part.stop()));
    },
  };
}

/** Advances the watermark as far as every process has heard all events, and records deaf spans. */
async function moveWatermark(orm: Orm): Promise<void> {
  const db = sqlOf(orm);
  const found = await listeners(db);
  const { now } = found;
  await extendSpans(db, spansOfTheAbsent(found, now));
  const holds = holdsOf(found, now);
  const reached = holds.length === 0 ? 0 : Math.min(now, ...holds.map(({ at }) => at));
  await advanceWatermark(db, reached, now);
}

async function dueRules(orm: Orm, now: number): Promise<Set<string>> {
  const db = sqlOf(orm);
  const watermark = await readWatermark(db);
  await rearmRefreshed(db, watermark);
  return new Set([
    ...(await takeOutbox(db, null, LEFTOVER_MS)),
    ...(await takeDue(db, { now, watermark })),
    ...(await takeUnanswered(db, UNANSWERED_MS)),
  ]);
}

/** Finds incidents whose notices wait. For each incident, the pause between two signals doubles. */
function overdueIncidents(orm: Orm, clock: () => number): () => Promise<string[]> {
  const signalled = new Map<string, { next: number; pause: number }>();
  return async () => {
    const db = sqlOf(orm);
    const now = clock();
    const before = now - OVERDUE_MS;
    const resting = [...signalled].flatMap(([id, { next }]) => (next > now ? [id] : []));
    const waiting = resting.length === 0 ? [] : await stillOverdue(db, before, resting);
    // Incidents that were just signalled are excluded. Otherwise many that are stuck would take the places of
    // others.
    const due = await overdueNotices(db, before, waiting);
    const overdue = new Set([...waiting, ...due]);
    for (const id of signalled.keys()) if (!overdue.has(id)) signalled.delete(id);
    for (const id of due) {
      const pause = (signalled.get(id)?.pause ?? OVERDUE_MS) * 2;
      signalled.set(id, { next: now + pause, pause });
    }
    return due;
  };
}
