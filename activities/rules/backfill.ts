import { setTimeout } from 'node:timers/promises';
import { type Orm, transaction } from '../../db/orm.ts';
import { dayOf, ensureDay } from '../../db/partitions.ts';
import { admitGroups, countOverflow } from '../../db/queries/events/append.ts';
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
  type Position,
} from '../../db/queries/rules/backfill.ts';
import { keepVersion, type Version } from '../../db/queries/rules/judging.ts';
import { notePending } from '../../db/queries/rules/revisions.ts';
import { DAY_MS, MAX_AHEAD_MS } from '../../domain/events/event.ts';
import { placeOf } from '../../domain/rules/admission.ts';
import { type CompiledRule, compileRule } from '../../domain/rules/compile.ts';
import { OVERFLOW_GROUP } from '../../domain/rules/group.ts';
import { bucketOf } from '../../domain/rules/window.ts';
import { noteInReach } from './note-in-reach.ts';

/** The sizes of a backfill's portions. Tests use smaller ones. */
export interface Portions {
  /** How many events are read at once. */
  page: number;
  /** How many counts, and how many events, are held in memory before they are written. */
  cells: number;
  events: number;
  /**
   * How many groups one transaction admits or notes for judging. Appends with new groups of the rule may wait
   * for it.
   */
  groups: number;
}

/**
 * Pause after creating the partitions of a day, in milliseconds. Each new partition makes PostgreSQL plan the
 * statements of appends again. Without the pause, 31 days held up one append for 114 to 169 ms.
 */
const PAUSE_MS = 30;

const PORTIONS: Portions = { page: 5000, cells: 5000, events: 100_000, groups: 200 };

/**
 * Counts the events that were in the window of a new revision when it came into force. Appends continue
 * meanwhile; their events are not visible in the revision's snapshot, so nothing is counted twice.
 *
 * Counts are written in portions, each with the position that it reaches, in a short transaction. So memory
 * does not grow with the window, an interrupted backfill continues where it stopped, and of two that run at
 * once only one can write a portion. The revision is not judged before it is ready.
 * @param progress called after every page; if it throws, the backfill ends
 */
export async function backfill(
  orm: Orm,
  version: Version,
  { progress = () => {}, portions = PORTIONS }: { progress?: () => void; portions?: Portions } = {},
): Promise<void> {
  const rule = compileRule(version.definition);
  // The window may reach further back than that of any rule before. Its counts then need partitions that
  // retention has dropped.
  const first = dayOf(bucketOf(version.counted_from, rule.bucketMs));
  for (let day = first; day <= version.effective_at + MAX_AHEAD_MS; day += DAY_MS) {
    if ((await ensureDay(orm, day)) > 0) await setTimeout(PAUSE_MS);
  }
  const start = await transaction(orm, (db) => backfillPosition(db, version));
  if (!start) return;
  const places: Places = { admitted: new Set(), full: false, overflow: false };
  let position: Position = start.position;
  while (true) {
    const portion = await readPortion(orm, version, rule, position, portions, progress);
    if (portion.to === null) break;
    await admitMissing(orm, version, rule.maxGroups, portion.cells, places, portions.groups);
    if (!(await writePortion(orm, version, position, portion.to, place(portion.cells, places)))) return;
    position = portion.to;
  }
  if (version.first_layer < version.revision)
    await noteInReach(orm, version, (db) => keepVersion(db, version), progress);
  else if (position) {
    const span = { from_at: Math.floor(version.counted_from), to_at: position.occurred_at };
    // A backfill that continues does not know which groups it counted before. Then all groups of the rule are
    // judged.
    const known = start.position === null ? [...places.admitted] : null;
    if (known && places.overflow) known.push(OVERFLOW_GROUP);
    await noteGroups(orm, version, span, known, portions.groups, progress);
  }
  await transaction(orm, async (db) => {
    if (await holdBackfill(db, version)) await markReady(db, version);
  });
}

/** Reads pages until there is enough to write. `to` is null if nothing is left. */
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
      if (!rule.matches(event)) continue;
      const { occurred_at } = event;
      add(cells, rule.groupKey(event), bucketOf(occurred_at, rule.bucketMs), [occurred_at]);
    }
    to = { occurred_at: last.occurred_at, event_id: last.event_id };
    read += events.length;
  }
  return { cells: [...cells.values()], to };
}

function add(cells: Map<string, Cell>, group_key: string, bucket: number, times: readonly number[]): void {
  const key = `${bucket} ${group_key}`;
  const cell = cells.get(key);
  if (cell) for (const at of times) cell.times.push(at);
  else cells.set(key, { group_key, bucket, times: [...times] });
}

/** What a backfill knows about the groups that the rule has admitted. */
interface Places {
  /** Counted groups that are admitted. */
  admitted: Set<string>;
  /** True if there was no room for further groups. */
  full: boolean;
  /** True if something was counted in the overflow group. */
  overflow: boolean;
}

/**
 * Admits groups up to the rule's limit, a few per transaction, because appends with new groups of this rule
 * wait for the lock. Once the rule is full, the lock is not taken any more.
 */
async function admitMissing(
  orm: Orm,
  version: Version,
  max_groups: number,
  cells: readonly Cell[],
  places: Places,
  atOnce: number,
): Promise<void> {
  const { rule_id, groups_from } = version;
  const { admitted } = places;
  const missing = [
    ...new Set(cells.map(({ group_key }) => group_key).filter((key) => !admitted.has(key))),
  ].sort();
  if (missing.length === 0) return;
  const known = await transaction(orm, (db) => admittedOf(db, version, missing));
  for (const key of known) admitted.add(key);
  const unknown = missing.filter((key) => !admitted.has(key));
  for (let i = 0; i < unknown.length && !places.full; i += atOnce) {
    const wanted = unknown
      .slice(i, i + atOnce)
      .map((group_key) => ({ rule_id, group_key, max_groups, groups_from }));
    const found = await transaction(orm, (db) => admitGroups(db, wanted));
    for (const { group_key } of found) admitted.add(group_key);
    places.full = found.length < wanted.length;
  }
}

/** Moves the counts of groups that were not admitted to the overflow group. */
function place(cells: readonly Cell[], places: Places): { cells: Cell[]; overflow: number } {
  const placed = new Map<string, Cell>();
  let overflow = 0;
  for (const { group_key, bucket, times } of cells) {
    const group = placeOf(group_key, places.admitted);
    if (group === OVERFLOW_GROUP) overflow += times.length;
    add(placed, group, bucket, times);
  }
  if (overflow > 0) places.overflow = true;
  return { cells: [...placed.values()], overflow };
}

/**
 * Writes a portion. Returns false if the revision must no longer be counted, or if another process has
 * continued from `from`.
 */
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

/**
 * Notes groups for judging: `known`, or all groups of the rule. It notes a few at a time, because wakers need
 * the same table for other rules.
 */
async function noteGroups(
  orm: Orm,
  version: Version,
  span: { from_at: number; to_at: number },
  known: readonly string[] | null,
  atOnce: number,
  progress: () => void,
): Promise<void> {
  const { rule_id, revision } = version;
  for (let noted = 0, after: string | null = null; ; noted += atOnce) {
    const keys: string[] = await transaction(orm, async (db) => {
      const page = known?.slice(noted, noted + atOnce) ?? (await groupsOf(db, rule_id, after, atOnce));
      const all = known || after !== null ? page : [OVERFLOW_GROUP, ...page];
      const groups = all.map((group_key) => ({ group_key, ...span }));
      await notePending(db, rule_id, revision, groups);
      return page;
    });
    progress();
    if (keys.length < atOnce) return;
    after = keys.at(-1)!;
  }
}
