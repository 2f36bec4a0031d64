import type { Sql } from '../../db/orm.ts';
import { admitGroups, countOverflow } from '../../db/queries/events/append.ts';
import { rewordIncidents } from '../../db/queries/incidents/write.ts';
import {
  insertAlerts,
  keepPast,
  notePendingAlerts,
  type ReceivedAlertRow,
  type ReceivingRule,
  refreshAlerts,
  updateAlerts,
} from '../../db/queries/received-alerts/writes.ts';
import type { KnownAlert } from '../../domain/received-alerts/alert.ts';
import { incidentWords } from '../../domain/received-alerts/words.ts';
import { OVERFLOW_GROUP } from '../../domain/rules/group.ts';
import { type Draft, idOf } from './draft.ts';

/** The row of `rule_overflow` that counts received alerts. */
const OVERFLOW_SLOT = 0;

/** Another process stored one of the alerts first, so it must be read again. */
export class Raced extends Error {
  override name = 'Raced';
}

/** Writes the drafts. Returns the rules that must be signalled. @throws Raced */
export async function writeDrafts(
  db: Sql,
  rules: readonly ReceivingRule[],
  drafts: readonly Draft[],
  now: number,
): Promise<string[]> {
  const placed = await place(db, rules, drafts);
  const rows = drafts.flatMap((draft) =>
    draft.alert ? [{ draft, row: rowOf(draft, draft.alert, groupOf(draft, placed), now) }] : [],
  );
  const followed = drafts.flatMap((draft) =>
    draft.past.map(({ alert, onRecord }) => ({
      before: onRecord ? draft.before : null,
      row: rowOf(draft, alert, onRecord ? draft.before!.group_key : groupOf(draft, placed), now),
    })),
  );
  const past = rowsOf(followed);
  const touched = rows.filter(({ draft }) => draft.changed);
  const reworded = rows.filter(({ draft }) => draft.before && draft.reworded && !draft.began);
  const fresh = rows.filter(({ draft }) => !draft.before);
  const full = rows.filter(({ draft }) => draft.before && (draft.changed || draft.reworded));
  const quiet = rows.filter(
    ({ draft }) => draft.before && draft.refreshed && !draft.changed && !draft.reworded,
  );

  if (fresh.length > 0 && !(await insertAlerts(db, rowsOf(fresh)))) throw new Raced();
  if (past.length > 0) await keepPast(db, past);
  if (full.length > 0) await updateAlerts(db, rowsOf(full));
  if (quiet.length > 0) await refreshAlerts(db, rowsOf(quiet));
  const words = reworded
    .filter(({ row }) => row.group_key === row.key)
    .map(({ row: { rule_id, group_key, ...alert } }) => ({
      ...{ rule_id, group_key },
      ...incidentWords(alert, rules.find(({ id }) => id === rule_id)!),
    }));
  if (words.length > 0) await rewordIncidents(db, words);
  if (touched.length === 0) return [];
  return notePendingAlerts(
    db,
    [
      ...touched.map(({ draft, row }) => ({ row, before: draft.began ? null : draft.before })),
      ...followed,
    ].map(({ row, before }) => {
      const from_at = firstChange(row, before);
      return {
        ...{ rule_id: row.rule_id, group_key: row.group_key, from_at, to_at: Math.max(from_at, now) },
      };
    }),
  );
}

/**
 * The time from which on the group may be judged differently. In the overflow group it differs from the
 * alert's start: a resolve there changes nothing about earlier times, when other alerts may be active.
 */
function firstChange(
  { group_key, starts_at, ends_at }: ReceivedAlertRow,
  before: ReceivedAlertRow | null,
): number {
  if (group_key !== OVERFLOW_GROUP || before?.starts_at !== starts_at) return starts_at;
  return Math.min(before.ends_at, ends_at);
}

/**
 * Finds a place under its rule's limit for each alert that began an episode, and counts those that got none.
 */
async function place(
  db: Sql,
  rules: readonly ReceivingRule[],
  drafts: readonly Draft[],
): Promise<ReadonlySet<string>> {
  const began = drafts.filter((draft) => draft.began);
  if (began.length === 0) return new Set();
  const caps = new Map(rules.map(({ id, max_groups }) => [id, max_groups]));
  const admitted = await admitGroups(
    db,
    // These rules have always grouped by the alert itself.
    began.map(({ rule_id, key }) => ({
      ...{ rule_id, group_key: key, max_groups: caps.get(rule_id) ?? 0, groups_from: 0 },
    })),
  );
  const placed = new Set(admitted.map(({ rule_id, group_key }) => idOf(rule_id, group_key)));
  const overflow = new Map<string, number>();
  for (const { rule_id, key } of began) {
    if (!placed.has(idOf(rule_id, key))) overflow.set(rule_id, (overflow.get(rule_id) ?? 0) + 1);
  }
  if (overflow.size > 0) await countOverflow(db, OVERFLOW_SLOT, overflow);
  return placed;
}

function groupOf({ rule_id, key, began, before }: Draft, placed: ReadonlySet<string>): string {
  if (!began && before) return before.group_key;
  return placed.has(idOf(rule_id, key)) ? key : OVERFLOW_GROUP;
}

function rowOf({ rule_id, key }: Draft, alert: KnownAlert, group_key: string, now: number): ReceivedAlertRow {
  return { ...alert, senders: alert.senders ?? {}, rule_id, key, group_key, updated_at: now };
}

const rowsOf = (some: readonly { row: ReceivedAlertRow }[]) => some.map(({ row }) => row);
