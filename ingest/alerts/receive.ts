import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { isDataError } from '../../db/errors.ts';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { queuedEvents, unqueueEvents } from '../../db/queries/received-alerts/events.ts';
import { storableText } from '../../db/storable.ts';
import type { Event } from '../../domain/events/event.ts';
import { NEVER, type ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import type { MessageOutcome } from '../../domain/received-alerts/single-sender.ts';
import type { DiskGuard } from '../../process/disk/guard.ts';
import { ruleSignals } from '../../temporal-config/signals/rules.ts';
import { type InvalidEvent, MAX_PAYLOAD, validateEvent } from '../append/validate.ts';
import { repair, shorten } from '../formats/repair.ts';
import { DiskFull, type Ingest, StoreUnavailable } from '../outcome.ts';
import { alertEvent } from './event.ts';
import { recordAlerts } from './record.ts';

/** The result of one received alert. */
export type Received =
  | { status: 'accepted'; outcome: MessageOutcome }
  | { status: 'invalid'; errors: InvalidEvent[] };

/** Stores alerts that other systems judged. */
export interface AlertReceiver {
  /**
   * Stores messages and resolves after the commit, with one result each, in order. An invalid one does not
   * affect the others. The built-in rules open the incidents, even if Temporal is down at the moment. Sending
   * again is safe.
   * @param by the sender's name, for timelines
   * @param sender identifies the sender, so that no sender can end an alert that another one still sends
   * @throws DiskFull, StoreUnavailable: the messages may or may not be stored
   */
  receive(alerts: readonly ReceivedAlert[], by: string, sender?: string): Promise<Received[]>;
  /** Checks that there is room, before a request is read. @throws DiskFull */
  requireRoom(): void;
  /**
   * Stores events about alerts that have waited for longer than `olderThanMs`, because their process ended
   * before. It also runs by itself every few seconds.
   */
  storeLeftovers(olderThanMs: number): Promise<void>;
  /** Finishes the current work. It must be called when no more alerts come, and before the ingest stops. */
  stop(): Promise<void>;
}

/** How many messages one transaction stores. More would delay changes of rules. */
const IN_ONE_TRANSACTION = 1000;
/** The longest key of an alert, in characters. It is part of an index. */
const LONGEST_KEY = 400;
/**
 * How old a queued event must be before it counts as left behind by its process, and how often to look.
 * Milliseconds.
 */
const LEFTOVER_MS = 10_000;
const LEFTOVERS_EVERY_MS = 15_000;
const LEFTOVERS_AT_ONCE = 500;

/** Makes the receiver, one per process. */
export function createAlertReceiver({
  orm,
  ingest,
  disk,
  client,
  clock,
  log,
}: {
  orm: Orm;
  ingest: Pick<Ingest, 'accept' | 'claimTimes'>;
  /** Refuses alerts while the disk is full. */
  disk?: DiskGuard;
  client: Client;
  /** Epoch milliseconds. */
  clock: () => number;
  log: Logger;
}): AlertReceiver {
  /** Answers do not wait for Temporal. The sweep repeats failed signals. */
  const signals = ruleSignals({ orm, client }, log);
  let leftovers = Promise.resolve();
  let stopped = false;
  let timer = setTimeout(sweep, LEFTOVERS_EVERY_MS).unref();

  /**
   * Stores events through the normal ingest. Events that fail stay queued; the next round of any process
   * stores them.
   */
  async function store(events: readonly Event[]): Promise<void> {
    if (events.length === 0) return;
    try {
      // If the id was stored before, its time is fixed. The same change sent again is then a duplicate.
      const times = await ingest.claimTimes(events);
      const outcomes = await ingest.accept(events.map((event, i) => ({ ...event, occurred_at: times[i]! })));
      for (const outcome of outcomes) {
        if (outcome.status === 'invalid')
          log.error({ outcome }, 'could not store the event of a received alert: it is invalid');
      }
      await unqueueEvents(
        sqlOf(orm),
        events.map(({ event_id }) => event_id),
      );
    } catch (error) {
      log.warn(
        { err: error, events: events.length },
        'could not store events of received alerts yet; they stay in the queue',
      );
    }
  }

  async function storeLeftovers(olderThanMs: number): Promise<void> {
    try {
      await store(await queuedEvents(sqlOf(orm), olderThanMs, LEFTOVERS_AT_ONCE));
    } catch (error) {
      log.warn({ err: error }, 'could not look for events of received alerts');
    }
  }

  function sweep(): void {
    leftovers = storeLeftovers(LEFTOVER_MS).finally(() => {
      if (!stopped) timer = setTimeout(sweep, LEFTOVERS_EVERY_MS).unref();
    });
  }

  return {
    async receive(alerts, by, sender) {
      const now = clock();
      const results: Received[] = new Array(alerts.length);
      const valid: { index: number; alert: ReceivedAlert }[] = [];
      for (const [index, given] of alerts.entries()) {
        const alert = asReceived(given, now);
        const errors = flawsOf(alert, now);
        if (errors.length > 0) results[index] = { status: 'invalid', errors };
        else valid.push({ index, alert });
      }
      for (let i = 0; i < valid.length; i += IN_ONE_TRANSACTION) {
        const some = valid.slice(i, i + IN_ONE_TRANSACTION);
        const messages = some.map(({ alert }) => alert);
        const record = () => recordAlerts(orm, messages, by, now, sender);
        const recorded = await (disk ? disk.withRoom(record) : record()).catch((error: unknown) => {
          if (error instanceof DiskFull || isDataError(error)) throw error;
          throw new StoreUnavailable('PostgreSQL is unavailable', { cause: error });
        });
        void signals.add(recorded.wake);
        for (const [j, { index }] of some.entries()) {
          results[index] = { status: 'accepted', outcome: recorded.outcomes[j]! };
        }
        await store(recorded.events);
      }
      return results;
    },

    requireRoom: () => disk?.requireRoom(),

    storeLeftovers,

    async stop() {
      stopped = true;
      clearTimeout(timer);
      await leftovers;
      await signals.stop();
    },
  };
}

/**
 * The longest that an alert's texts may be as JSON. The event about the alert has other fields beside them.
 */
const LONGEST_TEXTS = MAX_PAYLOAD - 4096;

/**
 * Adjusts a message before it is stored. An alert begins at the time of receipt at the latest, so that a
 * sender with a fast clock does not delay a page. Texts are repaired, and cut if they are too long, because
 * no detail may refuse a page.
 */
function asReceived(alert: ReceivedAlert, now: number): ReceivedAlert {
  const texts = {
    ...{ severity: alert.severity, summary: alert.summary, generator_url: alert.generator_url },
    ...{ labels: { ...alert.labels }, annotations: { ...alert.annotations } },
  };
  repair(texts, 2);
  if (!shorten(texts, LONGEST_TEXTS)) {
    texts.annotations = {
      cut: `${Object.keys(texts.annotations).length} annotations were too large to store`,
    };
  }
  return { ...alert, ...texts, key: storableText(alert.key), starts_at: Math.min(alert.starts_at, now) };
}

/** Finds flaws that prevent an incident or an event about the alert. */
function flawsOf(alert: ReceivedAlert, now: number): InvalidEvent[] {
  const errors: InvalidEvent[] = [];
  const { key, starts_at, ends_at } = alert;
  if (key.length > LONGEST_KEY)
    errors.push({ field: 'key', reason: `longer than ${LONGEST_KEY} characters` });
  for (const [field, at] of Object.entries({ starts_at, ends_at })) {
    const possible = Number.isInteger(at) && at >= 0 && at <= NEVER;
    if (!possible) errors.push({ field, reason: 'must be between 1970 and 9999' });
  }
  if (ends_at < starts_at && alert.action === 'trigger') {
    errors.push({ field: 'ends_at', reason: 'is before starts_at' });
  }
  if (errors.length > 0) return errors;
  // The limits of events apply to alerts too, so that the event about an alert is always valid.
  const { occurred_at: _now, ...event } = alertEvent(alert, 'firing', alert, now);
  const validated = validateEvent(event, { now, retentionMs: 0 });
  return 'invalid' in validated ? validated.invalid : [];
}
