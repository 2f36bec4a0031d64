import { sqlState } from '../../db/errors.ts';
import { type Orm, type Sql, transaction } from '../../db/orm.ts';
import { queueEvents } from '../../db/queries/received-alerts/events.ts';
import { enterReceiving, lockAlerts } from '../../db/queries/received-alerts/writes.ts';
import type { Event } from '../../domain/events/event.ts';
import type { ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import type { MessageOutcome } from '../../domain/received-alerts/single-sender.ts';
import { applyTo, draftOf, eventOf, idOf, idOfMessage, ruleOf, type Sender } from './draft.ts';
import { Raced, writeDrafts } from './write.ts';

/**
 * How often a batch is tried again after a conflict with another batch about the same alerts. Each time, one
 * of the two succeeds.
 */
const MOST_TRIES = 20;

export interface Recorded {
  outcomes: MessageOutcome[];
  /** Events about the changes, queued in the same transaction. */
  events: Event[];
  /** Rules that have something to judge and must be signalled. */
  wake: string[];
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
  const drafts = new Map([...keys].map(([id, key]) => [id, draftOf(key, known.get(id) ?? null)]));
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
  const wake = await writeDrafts(db, rules, [...drafts.values()], now);
  if (events.length > 0) await queueEvents(db, events);
  return { outcomes, events, wake };
}
