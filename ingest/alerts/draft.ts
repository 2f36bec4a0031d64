import type { ReceivedAlertRow } from '../../db/queries/received-alerts/writes.ts';
import type { Event } from '../../domain/events/event.ts';
import { type KnownAlert, type ReceivedAlert, resolves } from '../../domain/received-alerts/alert.ts';
import { applyMessage } from '../../domain/received-alerts/message.ts';
import { PROTOCOLS } from '../../domain/received-alerts/protocols.ts';
import type { MessageOutcome } from '../../domain/received-alerts/single-sender.ts';
import { alertEvent } from './event.ts';

/**
 * The sender of messages: a name for timelines, and an id if senders of the same alert are distinguished
 * (else null).
 */
export interface Sender {
  by: string;
  sender: string | null;
}

/** One alert while a batch is applied: the stored state, and the state after the messages so far. */
export interface Draft {
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

/** The draft of an alert to which no message was applied. */
export function draftOf(key: { rule_id: string; key: string }, before: ReceivedAlertRow | null): Draft {
  const nothing = { began: false, past: [], refreshed: false, changed: false, reworded: false };
  return { ...key, before, alert: before, ...nothing };
}

export const ruleOf = ({ protocol }: ReceivedAlert) => PROTOCOLS[protocol].rule;
export const idOf = (rule_id: string, key: string) => `${rule_id} ${key}`;
export const idOfMessage = (message: ReceivedAlert) => idOf(ruleOf(message), message.key);

/** Applies one message to a draft, and returns the outcome. */
export function applyTo(
  draft: Draft,
  message: ReceivedAlert,
  { by, sender }: Sender,
  now: number,
): MessageOutcome {
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
export function eventOf(
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
