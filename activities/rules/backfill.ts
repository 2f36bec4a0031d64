import { type Orm, transaction } from '../../db/orm.ts';
import { dayOf, ensureDay } from '../../db/partitions.ts';
import { admitGroups, countOverflow } from '../../db/queries/append.ts';
import {
  addBackfilled,
  admittedOf,
  BACKFILL_SLOT,
  backfillPosition,
  type Cell,
  eventsToBackfill,
  groupsOf,
  holdBackfill,
  markReady,
  noteBackfilled,
  type Position,
} from '../../db/queries/backfill.ts';
import type { Version } from '../../db/queries/judging.ts';
import { DAY_MS, MAX_AHEAD_MS } from '../../domain/event.ts';
import { OVERFLOW_GROUP } from '../../domain/group.ts';
import { bucketOf } from '../../domain/window.ts';
import { type CompiledRule, compileRule } from '../../ingest/rule-set.ts';
import { takeUpReceived } from './take-up-received.ts';

/** What a backfill takes at once. Tests take less. */
export interface Portions {
  /** Events read at once. */
  page: number;
  /** Counts, and events, held in memory before they are written. */
  cells: number;
  events: number;
  /** Groups admitted, or noted for judging, in one transaction: appends with new groups of the rule may wait for it. */
  groups: number;
}

const PORTIONS: Portions = { page: 5000, cells: 5000, events: 100_000, groups: 200 };

/**
 * Counts the events that were in a new revision's window when it came into force. Appends go on meanwhile: what they store
 * is not visible in the revision's snapshot.
 *
 * Counts are written portion by portion, each together with the position that it reaches, in a short transaction. So
 * memory doesn't grow with the window, a backfill that is broken off goes on where it was, and of two at once only
 * one can write a portion. Nobody judges the revision before it is marked ready.
 * @param progress called after every page; what it throws ends the backfill
 */
export async function backfill(
  orm: Orm,
  version: Version,
  { progress = () => {}, portions = PORTIONS }: { progress?: () => void; portions?: Portions } = {},
): Promise<void> {
  if (version.definition.condition.kind === 'received') return takeUpReceived(orm, version);
  const rule = compileRule(version);
  // A window may reach back further than any rule's did before: its counts need partitions that retention dropped.
  const first = dayOf(bucketOf(version.counted_from, rule.bucketMs));
  for (let day = first; day <= version.effective_at + MAX_AHEAD_MS; day += DAY_MS) await ensureDay(orm, day);
  const start = await transaction(orm, (db) => backfillPosition(db, version));
  if (!start) return;
  const admitted = new Set<string>();
  let position: Position = start.position;
  while (true) {
    const portion = await readPortion(orm, version, rule, position, portions, progress);
    if (portion.to === null) break;
    await admitMissing(orm, version, rule.maxGroups, portion.cells, admitted, portions.groups);
    if (!(await writePortion(orm, version, position, portion.to, place(portion.cells, admitted)))) return;
    position = portion.to;
  }
  await noteGroups(orm, version, portions.groups, progress);
  await transaction(orm, async (db) => {
    if (await holdBackfill(db, version)) await markReady(db, version);
  });
}

/** Reads pages until there is enough to be written. `to` is null when there was nothing left. */
async function readPortion(
  orm: Orm,
  version: Version,
  rule: CompiledRule,
  from: Position,
  { page, cells: mostCells, events: mostEvents }: Portions,
  progress: () => void,
): Promise<{ cells: Cell[]; to: Position }> {
  const cells = new Map<string, Cell>();
  let to: Position = null;
  let read = 0;
  while (cells.size < mostCells && read < mostEvents) {
    const events = await transaction(orm, (db) => eventsToBackfill(db, version, to ?? from, page));
    progress();
    const last = events.at(-1);
    if (!last) break;
    for (const event of events) {
      if (rule.matches(event))
        add(cells, rule.groupKey(event), bucketOf(event.occurred_at, rule.bucketMs), 1);
    }
    to = { occurred_at: last.occurred_at, event_id: last.event_id };
    read += events.length;
  }
  return { cells: [...cells.values()], to };
}

function add(cells: Map<string, Cell>, g: string, b: number, n: number): void {
  const key = `${b} ${g}`;
  const cell = cells.get(key);
  if (cell) cell.n += n;
  else cells.set(key, { g, b, n });
}

/**
 * Admits groups up to the rule's cap, a few at a time, and adds those that have a place to `admitted`. Each transaction
 * holds a lock that appends with new groups of this rule wait for. Once the rule is full it isn't taken any more.
 */
async function admitMissing(
  orm: Orm,
  version: Version,
  max_groups: number,
  cells: readonly Cell[],
  admitted: Set<string>,
  atOnce: number,
): Promise<void> {
  const { rule_id, groups_from } = version;
  const missing = [...new Set(cells.map(({ g }) => g).filter((g) => !admitted.has(g)))].sort();
  if (missing.length === 0) return;
  const known = await transaction(orm, (db) => admittedOf(db, version, missing));
  for (const key of known) admitted.add(key);
  const unknown = missing.filter((key) => !admitted.has(key));
  for (let i = 0; i < unknown.length; i += atOnce) {
    const wanted = unknown
      .slice(i, i + atOnce)
      .map((group_key) => ({ rule_id, group_key, max_groups, groups_from }));
    const found = await transaction(orm, (db) => admitGroups(db, wanted));
    for (const { group_key } of found) admitted.add(group_key);
    if (found.length < wanted.length) return;
  }
}

/** Counts of groups that found no place go to the overflow group. */
function place(cells: readonly Cell[], admitted: ReadonlySet<string>): { cells: Cell[]; overflow: number } {
  const placed = new Map<string, Cell>();
  let overflow = 0;
  for (const { g, b, n } of cells) {
    if (!admitted.has(g)) overflow += n;
    add(placed, admitted.has(g) ? g : OVERFLOW_GROUP, b, n);
  }
  return { cells: [...placed.values()], overflow };
}

/** False when the revision is no longer to be counted, or somebody else has counted on from `from`. */
async function writePortion(
  orm: Orm,
  version: Version,
  from: Position,
  to: NonNullable<Position>,
  { cells, overflow }: { cells: Cell[]; overflow: number },
): Promise<boolean> {
  return transaction(orm, async (db) => {
    const held = await holdBackfill(db, version);
    if (!held || !samePosition(held.position, from)) return false;
    await addBackfilled(db, version, cells, to);
    if (overflow > 0) await countOverflow(db, BACKFILL_SLOT, new Map([[version.rule_id, overflow]]));
    return true;
  });
}

const samePosition = (a: Position, b: Position) =>
  a?.occurred_at === b?.occurred_at && a?.event_id === b?.event_id;

/** Notes every group that something was counted for, a few at a time: wakers note groups of other rules meanwhile. */
async function noteGroups(orm: Orm, version: Version, atOnce: number, progress: () => void): Promise<void> {
  let after: string | null = null;
  while (true) {
    const keys: string[] = await transaction(orm, async (db) => {
      const page = await groupsOf(db, version.rule_id, after, atOnce);
      await noteBackfilled(db, version, page);
      return page;
    });
    progress();
    if (keys.length < atOnce) return;
    after = keys.at(-1)!;
  }
}
