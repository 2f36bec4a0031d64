import type { Logger } from 'pino';
import { isPassing } from '../../db/errors.ts';
import { type Orm, type Sql, sqlOf, transaction } from '../../db/orm.ts';
import {
  announced,
  type GroupIncident,
  incidentsOnRecord,
  lastEpisodes,
} from '../../db/queries/incidents/on-record.ts';
import { writeTransitions } from '../../db/queries/incidents/write.ts';
import {
  type GroupStanding,
  holdVersion,
  lockGroups,
  readWatermark,
  updateGroups,
  type Version,
} from '../../db/queries/rules/judging.ts';
import { closePending, type PendingRow, putOff, readPending } from '../../db/queries/rules/pending.ts';
import { reconcile } from '../../domain/incidents/incident.ts';
import type { Transition } from '../../domain/incidents/transitions.ts';
import type { Horizon } from '../../domain/rules/episodes.ts';
import { horizonOf } from '../../domain/rules/finality.ts';
import { kindOf } from '../../domain/rules/kinds/index.ts';
import { windowSpecOf } from '../../domain/rules/rule.ts';
import { cameLate, changesOf, deferredBefore } from './changes.ts';
import { LEFT_BEHIND, missingIncidents, recordAtHandOver } from './left-behind.ts';
import { sourceOf } from './readings.ts';
import { decideGroup } from './record.ts';
import type { Weighed } from './weigh.ts';

/** How many groups one transaction judges at most. */
const GROUPS_A_PASS = 200;

export interface Pass {
  /** How many pending groups were judged or deferred; 0 if there was nothing to do. */
  judged: number;
  /** True if the revision changed after it was read; then nothing was judged. */
  stale: boolean;
  /** Incidents that changed. Their workflows must be signalled. */
  incidents: string[];
}

export interface JudgeDeps {
  orm: Orm;
  /** Epoch ms. */
  clock: () => number;
  log: Logger;
}

/**
 * Judges the pending groups of one revision; those that waited longest come first. If that fails, it judges
 * fewer and fewer groups at a time until it finds the one that fails. That group is deferred and reported,
 * and the others are judged.
 */
export async function judgePending(deps: JudgeDeps, version: Version): Promise<Pass> {
  try {
    return await judgeSome(deps, version, { limit: GROUPS_A_PASS });
  } catch (error) {
    if (isPassing(error)) throw error;
    const pending = await readPending(sqlOf(deps.orm), version, { limit: GROUPS_A_PASS });
    return judgeApart(deps, version, [...new Set(pending.map(({ group_key }) => group_key))], error);
  }
}

/**
 * Judges groups in halves, because at least one of them cannot be judged. `error`: the error of judging them
 * together.
 */
async function judgeApart(
  deps: JudgeDeps,
  version: Version,
  keys: readonly string[],
  error: unknown,
): Promise<Pass> {
  const [only, ...others] = keys;
  if (only === undefined) return { judged: 0, stale: false, incidents: [] };
  if (others.length === 0) {
    const { rule_id, revision } = version;
    deps.log.error(
      { rule_id, revision, group: only, err: error },
      'a group cannot be judged; it is tried again later',
    );
    await putOff(sqlOf(deps.orm), version, only, error instanceof Error ? error.message : String(error));
    return { judged: 1, stale: false, incidents: [] };
  }
  const middle = keys.length >> 1;
  const sum: Pass = { judged: 0, stale: false, incidents: [] };
  for (const half of [keys.slice(0, middle), keys.slice(middle)]) {
    const pass = await judgeSome(deps, version, { keys: half }).catch((cause: unknown) => {
      if (isPassing(cause)) throw cause;
      return judgeApart(deps, version, half, cause);
    });
    sum.judged += pass.judged;
    sum.stale ||= pass.stale;
    sum.incidents.push(...pass.incidents);
  }
  return sum;
}

/**
 * Judges groups in one transaction: locks them, reads counts, decides, and records the result.
 *
 * If the standing of a group changes, its pending row stays for another pass after the commit. The waker
 * reads standings without a lock. So it may ignore an event because the group fires, at the moment at which
 * the group stops firing; the next pass finds that event.
 *
 * The clock is read after the groups are locked. Otherwise it could be older than what another process has
 * judged meanwhile.
 */
async function judgeSome(
  { orm, clock }: JudgeDeps,
  version: Version,
  which: { limit: number } | { keys: readonly string[] },
): Promise<Pass> {
  return transaction(orm, async (db) => {
    const words = await holdVersion(db, version, 'judging');
    if (!words) return { judged: 0, stale: true, incidents: [] };
    const pending = await readPending(db, version, which);
    if (pending.length === 0) return { judged: 0, stale: false, incidents: [] };
    const spec = windowSpecOf(version.definition);
    const keys = [...new Set(pending.map(({ group_key }) => group_key))];
    const locked = await lockGroups(db, version.rule_id, keys);
    const left = version.handed_over;
    const standings = left ? new Map(keys.map((key) => [key, LEFT_BEHIND])) : locked;
    const now = clock();
    const touched = keys.map((key) => {
      const mine = pending.filter(({ group_key }) => group_key === key);
      const changes = changesOf(mine, standings.get(key)!);
      return { key, pending: mine, changes, from: Math.min(...changes.map(({ from }) => from)) };
    });
    const reading = await sourceOf(version).read(db, version, touched, standings);
    const reach = Math.max(spec.forMs, spec.keepFiringMs) + 2;
    const recorded = await incidentsOnRecord(
      db,
      version.rule_id,
      touched.map(({ key, from }) => ({
        group_key: key,
        ended_since: Math.min(from, reading.since.get(key) ?? from) - reach,
      })),
    );
    const onRecord = left ? recordAtHandOver(version, recorded) : recorded;
    const groups = touched.map((group) => ({
      ...group,
      incidents: onRecord.filter(({ group_key }) => group_key === group.key),
    }));
    const horizon = await horizonFor(db, version, now, onRecord);
    const weighed = await reading.weigh(groups, horizon);
    const episodes = await lastEpisodes(db, version.rule_id, keys);
    const told = await announced(
      db,
      onRecord.map(({ id }) => id),
    );

    const transitions: Transition[] = [];
    const standingRows: ({ group_key: string } & GroupStanding)[] = [];
    const closed: (PendingRow & { done: boolean })[] = [];
    for (const group of groups) {
      const { episodes: found } = weighed.get(group.key)!;
      const before = standings.get(group.key)!;
      const changes = reconcile(group.incidents, found);
      const isLate = (since: number) =>
        cameLate([...group.pending, ...deferredBefore(before)], since, spec.windowMs);
      const described = { version, words, groupKey: group.key };
      const decided = await decideGroup({
        ...described,
        changes: left ? missingIncidents(version, changes) : changes,
        onRecord: group.incidents,
        told,
        lastEpisode: episodes.get(group.key) ?? 0,
        observed: new Map(found.map((e) => [e.opened_at, e.observed])),
        describe: (episode) => reading.describe(described, episode),
        isLate,
        now,
      });
      transitions.push(...decided);
      const after = columnsOf(weighed.get(group.key)!, isLate);
      standingRows.push({ group_key: group.key, ...after });
      const done = left || (before.state === after.state && before.since === after.since);
      closed.push(...group.pending.map((row) => ({ ...row, done })));
    }
    await writeTransitions(db, transitions);
    const incidents = new Set(transitions.map(({ incident }) => incident.id));
    if (!left) {
      for (const id of await reading.finish()) incidents.add(id);
      await updateGroups(db, version.rule_id, standingRows);
    }
    await closePending(db, version, closed);
    return { judged: groups.length, stale: false, incidents: [...incidents] };
  });
}

function columnsOf({ standing, deferred }: Weighed, isLate: (since: number) => boolean): GroupStanding {
  const deferred_from = deferred[0]?.since ?? null;
  const deferred_late = deferred_from === null ? null : deferred.every((episode) => isLate(episode.since));
  if (standing.state === 'ok')
    return { state: 'ok', since: null, next_due: null, deferred_from, deferred_late };
  const { state, since, due: next_due } = standing;
  return { state, since, next_due, deferred_from, deferred_late };
}

/**
 * Determines up to when groups can be judged. A superseded revision is judged up to the time at which it was
 * superseded. If a recorded result is later than our clock, a process with a faster clock judged it, and it
 * stays.
 */
async function horizonFor(
  db: Sql,
  { superseded_at, definition }: Version,
  now: number,
  onRecord: readonly GroupIncident[],
): Promise<Horizon> {
  if (superseded_at !== null) return { openUpTo: superseded_at - 1, endUpTo: superseded_at };
  const watermark = await readWatermark(db);
  const reached = onRecord.map(({ opened_at, ended_at }) => Math.max(opened_at, ended_at ?? opened_at));
  const clock = reached.reduce((a, b) => Math.max(a, b), Math.max(now, watermark));
  const { condition, ...settings } = definition;
  const kind = kindOf(condition);
  const comparison = { moreEvents: kind.moreEvents, tests: kind.tests(condition, settings) };
  return horizonOf(comparison, clock, watermark);
}
