import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { isDataError } from '../../db/errors.ts';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { queuedEvents, unqueueEvents } from '../../db/queries/received-alerts/events.ts';
import { storableText } from '../../db/storable.ts';
import type { Event } from '../../domain/events/event.ts';
import { type MessageOutcome, NEVER, type ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import type { DiskGuard } from '../../process/disk/guard.ts';
import { ruleSignals } from '../../temporal-config/signals/rules.ts';
import { type InvalidEvent, MAX_PAYLOAD, validateEvent } from '../append/validate.ts';
import { repair, shorten } from '../formats/repair.ts';
import { DiskFull, type Ingest, StoreUnavailable } from '../outcome.ts';
import { alertEvent } from './event.ts';
import { recordAlerts } from './record.ts';

/** What became of one received alert. */
export type Received =
  | { status: 'accepted'; outcome: MessageOutcome }
  | { status: 'invalid'; errors: InvalidEvent[] };

/** The way in for alerts that somebody else judged. */
export interface AlertReceiver {
  /**
   * Puts messages on record and resolves once that is committed, with one result each, in their order; one
   * that is invalid costs the others nothing. Incidents follow by the built-in rules, also if Temporal is
   * away now. Sending again is safe.
   * @param by who sent them, for timelines
   * @param sender the same, for telling senders of one alert apart: none ends what another one holds
   * @throws DiskFull, StoreUnavailable: nothing is known of what is on record
   */
  receive(alerts: readonly ReceivedAlert[], by: string, sender?: string): Promise<Received[]>;
  /** For whoever asks before it reads what it would have to refuse. @throws DiskFull */
  requireRoom(): void;
  /**
   * Stores events of received alerts that have waited for longer than `olderThanMs`: those of a process that
   * ended before it did. Called every few seconds by itself.
   */
  storeLeftovers(olderThanMs: number): Promise<void>;
  /**
   * Ends what is under way, and resolves. To be called once nothing is received any more, and before the
   * ingest stops.
   */
  stop(): Promise<void>;
}

/** Messages in one transaction at the most: it must not keep a rule's change waiting. */
const IN_ONE_TRANSACTION = 1000;
/** Longest key, in characters: it is part of an index. */
const LONGEST_KEY = 400;
/** Events this old were left behind by the process that queued them. Both in milliseconds. */
const LEFTOVER_MS = 10_000;
const LEFTOVERS_EVERY_MS = 15_000;
const LEFTOVERS_AT_ONCE = 500;

/** Composes the receiver. One a process. */
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
  /** Refuses alerts while there is no room. */
  disk?: DiskGuard;
  client: Client;
  /** Epoch milliseconds. */
  clock: () => number;
  log: Logger;
}): AlertReceiver {
  /** An answer must not wait for Temporal. Whatever is missed is signalled by the sweep. */
  const signals = ruleSignals({ orm, client }, log);
  let leftovers = Promise.resolve();
  let stopped = false;
  let timer = setTimeout(sweep, LEFTOVERS_EVERY_MS).unref();

  /**
   * Stores events by the way that all take. What fails stays queued, and is stored by the next round of any
   * process.
   */
  async function store(events: readonly Event[]): Promise<void> {
    if (events.length === 0) return;
    try {
      // An id that was stored before has its time: the same change told again is a duplicate.
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
 * Longest that an alert's texts may be as JSON: an event that tells of it has its other fields beside them.
 */
const LONGEST_TEXTS = MAX_PAYLOAD - 4096;

/**
 * What is kept of a message. An alert fires when it comes at the latest: a sender whose clock is ahead must
 * not delay a page, and one that is resolved at once must have begun. No detail refuses a page: texts are
 * repaired, and cut where they are too long.
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

/** What no incident, and no event that tells of it, could be made of. */
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
  // What may be said in an event may be said in an alert: one set of limits for both.
  const { occurred_at: _now, ...event } = alertEvent(alert, 'firing', alert, now);
  const validated = validateEvent(event, { now, retentionMs: 0 });
  return 'invalid' in validated ? validated.invalid : [];
}
