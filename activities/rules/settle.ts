import { type Orm, type Sql, sqlOf, transaction } from '../../db/orm.ts';
import { announced, type GroupIncident, unendedIncidents } from '../../db/queries/incidents/on-record.ts';
import { writeTransitions } from '../../db/queries/incidents/write.ts';
import { holdVersion, type RuleWords, type Version } from '../../db/queries/rules/judging.ts';
import { sharesCounts } from '../../db/queries/rules/layers.ts';
import { putOffGroups, putOffNoLonger } from '../../db/queries/rules/pending.ts';
import {
  busyGroups,
  closeRevisions,
  isOver,
  keepStandings,
  notePending,
  outboxIds,
  removeRule,
  resetGroups,
  settleLeft,
  youngestOutboxId,
} from '../../db/queries/rules/revisions.ts';
import { takeOutbox } from '../../db/queries/rules/wake.ts';
import type { ResolveReason } from '../../domain/incidents/incident.ts';
import { end, handOver as handOverTo } from '../../domain/incidents/transitions.ts';
import { type JudgeDeps, judgePending, type Pass } from './judge.ts';
import { noteInReach } from './note-in-reach.ts';

/**
 * Says whether a revision was never in force: it was superseded before its backfill was done. It judges
 * nothing, and nothing is handed over to it. This cannot change after it is read: a ready revision stays
 * ready, and a superseded one cannot become ready.
 */
const wasNeverInForce = ({ enabled, ready, superseded_at }: Version) =>
  enabled && !ready && superseded_at !== null;

/** The revision that replaces the i-th one. */
export const successorOf = (versions: readonly Version[], i: number): Version | null =>
  versions.slice(i + 1).find((version) => !wasNeverInForce(version)) ?? null;

/**
 * Judges a superseded revision for the last time, up to the time at which it was superseded. Then it hands
 * over its open incidents: to the successor if that has the same groups, else they end. It waits until the
 * successor is ready, because an edit before that may replace the successor.
 *
 * Groups whose judging was deferred are tried once more now. If they fail again, the hand-over does not wait;
 * `judgeLeft` tries them later. Each transaction checks again whether the revision must still be settled.
 * @param next the revision that takes over (`successorOf`)
 * @returns the changed incidents and the woken rules, which must be signalled. `stale`: the revision changed
 * after it was read
 */
export async function settle(
  deps: JudgeDeps,
  version: Version,
  next: Version | null,
): Promise<{ incidents: string[]; rules: string[]; stale: boolean }> {
  const { orm, clock, log } = deps;
  const until = version.superseded_at!;
  const incidents = new Set<string>();
  const woken = new Set<string>();
  const continued = version.ready && next?.enabled && next.ready && sharesCounts(version, next);
  // A backfill begins only after all earlier revisions are judged, so what it made ready needs no second
  // look.
  const judged = next?.enabled && next.ready && !continued;
  if (version.enabled && version.ready && !judged) {
    for (const id of await drainOutbox(orm)) woken.add(id);
    await transaction(orm, async (db) => {
      if (!(await holdVersion(db, version, 'judging'))) return;
      await putOffNoLonger(db, version);
      const busy = await busyGroups(db, version.rule_id);
      const due = busy.filter(({ next_due, deferred }) => next_due <= until || deferred);
      await notePending(
        db,
        version.rule_id,
        version.revision,
        due.map(({ group_key, state, since, next_due }) => ({
          group_key,
          from_at: state === 'pending' ? Math.min(since, next_due) : next_due,
          to_at: next_due,
        })),
      );
    });
    for (const id of await judgeAll(deps, version)) incidents.add(id);
    const groups = await putOffGroups(sqlOf(orm), version);
    if (groups.length > 0) {
      const { rule_id, revision } = version;
      log.error(
        { rule_id, revision, groups },
        'groups cannot be judged up to the change of their rule; they are tried again later',
      );
    }
  }
  const rules = [...woken].filter((id) => id !== version.rule_id);
  if (next?.enabled && !next.ready) return { incidents: [...incidents], rules, stale: false };
  // This comes after the last judging. The waker ignores events of the next revision while their group fires
  // under this one, and that may have ended. The counts contain those events.
  if (continued) {
    await noteInReach(orm, next, async (db) => (await holdVersion(db, version, 'judging')) !== null);
  }
  const handed = await handOver(orm, version, next, clock);
  for (const id of handed ?? []) incidents.add(id);
  return { incidents: [...incidents], rules, stale: handed === null };
}

/**
 * Converts all outbox rows up to now into pending evaluations, including those that a waker is processing.
 * @returns rules to be signalled
 */
async function drainOutbox(orm: Orm): Promise<string[]> {
  const upTo = await youngestOutboxId(sqlOf(orm));
  if (upTo === null) return [];
  const woken: string[] = [];
  while (true) {
    const ids = await transaction(orm, (db) => outboxIds(db, upTo));
    if (ids.length === 0) return woken;
    woken.push(...(await takeOutbox(sqlOf(orm), ids)));
  }
}

/** What happens to incidents that are open when their revision is superseded. */
type Fate = { carried: true; revision: number } | { carried: false; reason: ResolveReason };

/** The successor takes over incidents if it has the same groups; otherwise they end, with a reason. */
function fateOf(version: Version, next: Version | null, { deleted }: RuleWords): Fate {
  if (next?.enabled && sameGroups(version, next)) return { carried: true, revision: next.revision };
  if (deleted) return { carried: false, reason: 'rule deleted' };
  return { carried: false, reason: next?.enabled ? 'rule changed' : 'rule disabled' };
}

const sameGroups = (a: Version, b: Version) =>
  JSON.stringify(a.definition.group_by) === JSON.stringify(b.definition.group_by);

/** Hands over. Returns null if the revision must no longer be settled. */
async function handOver(
  orm: Orm,
  version: Version,
  next: Version | null,
  clock: () => number,
): Promise<string[] | null> {
  return transaction(orm, async (db) => {
    const words = await holdVersion(db, version, 'settling');
    if (!words) return null;
    const { rule_id: ruleId } = version;
    const at = next?.effective_at ?? version.superseded_at!;
    const open = await unendedIncidents(db, ruleId);
    const busy = await busyGroups(db, ruleId);
    const fate = fateOf(version, next, words);
    if (fate.carried)
      await writeTransitions(
        db,
        open.map(({ id }) => handOverTo(id, fate.revision)),
      );
    else await endIncidents(db, open, { ended_at: at, reason: fate.reason }, clock());
    await keepStandings(db, version);
    await closeRevisions(db, ruleId, next?.revision ?? version.revision + 1);
    await resetGroups(db, ruleId);
    if (next?.enabled) {
      await judgeAnew(db, next, at, [
        ...busy.map(({ group_key }) => group_key),
        ...open.map(({ group_key }) => group_key),
      ]);
    }
    return fate.carried ? [] : open.map(({ id }) => id);
  });
}

/**
 * Ends incidents. People are notified of the end if they were notified of the incident. `now`: epoch
 * milliseconds.
 */
async function endIncidents(
  db: Sql,
  open: readonly GroupIncident[],
  ending: { ended_at: number; reason: ResolveReason },
  now: number,
): Promise<void> {
  const told = await announced(
    db,
    open.map(({ id }) => id),
  );
  await writeTransitions(
    db,
    open.map((incident) => end(incident, ending, { told: told.has(incident.id), now })),
  );
}

/** Makes the revision in force judge groups from `at` (epoch ms) on, when it came into force. */
async function judgeAnew(db: Sql, version: Version, at: number, groupKeys: readonly string[]): Promise<void> {
  const groups = [...new Set(groupKeys)].map((group_key) => ({ group_key, from_at: at, to_at: at }));
  await notePending(db, version.rule_id, version.revision, groups);
}

/**
 * Tries again to judge groups that failed before their revision handed over, and settles the revision when
 * all are judged. Existing incidents belong to the successor, so only missing ones are recorded.
 */
export async function judgeLeft(deps: JudgeDeps, version: Version): Promise<string[]> {
  const incidents = await judgeAll(deps, version);
  await transaction(deps.orm, async (db) => {
    if (await holdVersion(db, version, 'settling')) await settleLeft(db, version);
  });
  return [...incidents];
}

/** Judges until no group of the revision is pending. Returns the changed incidents. */
async function judgeAll(deps: JudgeDeps, version: Version): Promise<Set<string>> {
  const incidents = new Set<string>();
  let pass: Pass;
  do {
    pass = await judgePending(deps, version);
    for (const id of pass.incidents) incidents.add(id);
  } while (pass.judged > 0);
  return incidents;
}

/**
 * Removes a deleted rule once its last revision is settled. Returns false if it is not settled, or if another
 * process removed it.
 */
export async function removeDeleted(orm: Orm, ruleId: string): Promise<boolean> {
  return transaction(orm, async (db) => {
    if (!(await isOver(db, ruleId))) return false;
    await removeRule(db, ruleId);
    return true;
  });
}
