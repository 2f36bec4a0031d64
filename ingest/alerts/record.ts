import { sqlState } from '../../db/errors.ts';
import { type Orm, type Sql, transaction } from '../../db/orm.ts';
import { admitGroups, countOverflow } from '../../db/queries/events/append.ts';
import { queueEvents } from '../../db/queries/received-alerts/events.ts';
import {
  enterReceiving,
  insertAlerts,
  keepPast,
  lockAlerts,
  notePendingAlerts,
  type ReceivedAlertRow,
  type ReceivingRule,
  refreshAlerts,
  rewordIncidents,
  updateAlerts,
} from '../../db/queries/received-alerts/writes.ts';
import type { Event } from '../../domain/events/event.ts';
import {
  type KnownAlert,
  RECEIVING_RULES,
  type ReceivedAlert,
  resolves,
} from '../../domain/received-alerts/alert.ts';
import { applyMessage } from '../../domain/received-alerts/message.ts';
import type { MessageOutcome } from '../../domain/received-alerts/single-sender.ts';
import { incidentWords } from '../../domain/received-alerts/words.ts';
import { OVERFLOW_GROUP } from '../../domain/rules/group.ts';
import { alertEvent } from './event.ts';

/**
 * How often a batch is tried again after a conflict with another batch about the same alerts. Each time, one
 * of the two succeeds.
 */
const MOST_TRIES = 20;

/** The row of `rule_overflow` that counts received alerts. */
const OVERFLOW_SLOT = 0;

/** Another process stored one of the alerts first, so it must be read again. */
class Raced extends Error {
  override name = 'Raced';
}

/**
 * The sender of messages: a name for timelines, and an id if senders of the same alert are distinguished
 * (else null).
 */
interface Sender {
  by: string;
  sender: string | null;
}

export interface Recorded {
  outcomes: MessageOutcome[];
  /** Events about the changes, queued in the same transaction. */
  events: Event[];
  /** Rules that have something to judge and must be signalled. */
  wake: string[];
}

/** One alert while a batch is applied: the stored state, and the state after the messages so far. */
interface Draft {
  rule_id: string;
  key: string;
  before: ReceivedAlertRow | null;
  alert: KnownAlert | null;
  /** True if a new episode began, which needs a place under the rule's limit of groups. */
  began: boolean;
  /** Episodes that were followed by others, and for each whether it is the stored one. */
  past: { alert: KnownAlert; onRecord: boolean }[];
  /** True if only its end moved. */
  refreshed: boolean;
  changed: boolean;
  reworded: boolean;
}

/**
 * Applies messages to the stored alerts in the given order, notes the groups to be judged, and queues events
 * about the changes. All of it is one transaction, which locks the alerts' rows.
 * @param now epoch ms, the time of receipt
 */
export async function recordAlerts(
  orm: Orm,
  messages: readonly ReceivedAlert[],
  by: string,
  now: number,
  sender: string | null = null,
): Promise<Recorded> {
  for (let tries = 1; ; tries++) {
    try {
      return await transaction(orm, (db) => attempt(db, messages, { by, sender }, now));
    } catch (error) {
      const again = error instanceof Raced || sqlState(error) === '40P01';
      if (!again || tries === MOST_TRIES) throw error;
    }
  }
}

async function attempt(
  db: Sql,
  messages: readonly ReceivedAlert[],
  by: Sender,
  now: number,
): Promise<Recorded> {
  const keys = new Map(
    messages.map((message) => [idOfMessage(message), { rule_id: ruleOf(message), key: message.key }]),
  );
  const rules = await enterReceiving(db, [...new Set(messages.map(ruleOf))]);
  const known = new Map(
    (await lockAlerts(db, [...keys.values()])).map((row) => [idOf(row.rule_id, row.key), row]),
  );
  const drafts = new Map(
    [...keys].map(([id, key]): [string, Draft] => {
      const before = known.get(id) ?? null;
      const nothing = { began: false, past: [], refreshed: false, changed: false, reworded: false };
      return [id, { ...key, before, alert: before, ...nothing }];
    }),
  );
  const outcomes: MessageOutcome[] = [];
  const events: Event[] = [];
  for (const message of messages) {
    const draft = drafts.get(idOfMessage(message))!;
    const before = draft.alert;
    const outcome = applyTo(draft, message, by, now);
    outcomes.push(outcome);
    const event = eventOf(message, before, draft.alert, outcome, now);
    if (event) events.push(event);
  }
  const wake = await write(db, rules, [...drafts.values()], now);
  if (events.length > 0) await queueEvents(db, events);
  return { outcomes, events, wake };
}

const ruleOf = ({ protocol }: ReceivedAlert) => RECEIVING_RULES[protocol];
const idOf = (rule_id: string, key: string) => `${rule_id} ${key}`;
const idOfMessage = (message: ReceivedAlert) => idOf(ruleOf(message), message.key);

/** Applies one message to a draft, and returns the outcome. */
function applyTo(draft: Draft, message: ReceivedAlert, { by, sender }: Sender, now: number): MessageOutcome {
  const { outcome, alert, past, changed, reworded } = applyMessage(draft.alert, message, now, by, sender);
  if (past) draft.past.push({ alert: past, onRecord: draft.before !== null && !draft.began });
  if (outcome === 'opened') draft.began = true;
  draft.alert = alert;
  draft.refreshed ||= outcome !== 'ignored';
  draft.changed ||= changed;
  draft.reworded ||= reworded;
  return outcome;
}

/**
 * Makes the event about a change, also for the end of an unknown alert. Null if the message changed nothing.
 */
function eventOf(
  message: ReceivedAlert,
  before: KnownAlert | null,
  alert: KnownAlert | null,
  outcome: MessageOutcome,
  now: number,
): Event | null {
  if (outcome === 'opened') return alertEvent(message, 'firing', alert!, now);
  if (outcome === 'resolved') return alertEvent(message, 'resolved', alert!, now);
  if (outcome === 'acknowledged') return alertEvent(message, 'acknowledged', alert!, now);
  if (before === null && message.action !== 'acknowledge' && resolves(message, now)) {
    return alertEvent(message, 'resolved', message, now);
  }
  return null;
}

/** Writes the drafts. Returns the rules that must be signalled. */
async function write(
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
