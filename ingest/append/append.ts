import type { Logger } from 'pino';
import type { AppendConnections, PipelinedTransaction } from '../../db/connections/append-connections.ts';
import { isDataError, isMissingPartition } from '../../db/errors.ts';
import type { Orm } from '../../db/orm.ts';
import { dayOf, ensureDay } from '../../db/partitions.ts';
import {
  enterAppend,
  eventKey,
  insertEvents,
  insertTally,
  ownKeys,
  storedEvents,
} from '../../db/queries/events/append.ts';
import { removedAmong } from '../../db/queries/events/removed-samples.ts';
import type { Event } from '../../domain/events/event.ts';
import { type Outcome, StoreUnavailable } from '../outcome.ts';
import { admit, type Learned, learn } from './admission.ts';
import { RuleSet } from './rule-set.ts';
import { tally } from './tally.ts';

/** How often an append creates missing partitions. Rules may change in between, and then need others. */
const PARTITION_TRIES = 3;

export interface Appended {
  outcomes: Outcome[];
  /** Outbox rows that now wait for the waker. */
  outboxIds: string[];
}

const REMOVED = 'is of a sample that was removed';

/** Thrown if some of the events belong to removed samples; the transaction is then rolled back. */
class SamplesRemoved extends Error {
  readonly sources: ReadonlySet<string>;
  constructor(sources: ReadonlySet<string>) {
    super('samples were removed');
    this.sources = sources;
  }
}

/** What an append needs of its connections. */
export type Transactions = Pick<AppendConnections, 'transaction'>;

/**
 * The transaction that stores events. The event, its counts, rollups, and the outbox row are committed
 * together or not at all. docs/adr/0003 and 0008 explain the order of the statements.
 */
export class Append {
  readonly #orm: Orm;
  readonly #connections: Transactions;
  readonly #clock: () => number;
  readonly #log: Logger;
  readonly #ofProducers: boolean;
  readonly #rules = new RuleSet(0, []);

  constructor({
    orm,
    connections,
    clock,
    log,
    ofProducers = false,
  }: {
    orm: Orm;
    connections: Transactions;
    clock: () => number;
    log: Logger;
    /** True if all events come from producers. Then events of removed samples are not stored. */
    ofProducers?: boolean | undefined;
  }) {
    this.#orm = orm;
    this.#connections = connections;
    this.#clock = clock;
    this.#log = log;
    this.#ofProducers = ofProducers;
  }

  /**
   * Stores a batch. If PostgreSQL refuses the data of an event, the event is found by halving the batch, so
   * that the others are stored.
   * @throws StoreUnavailable if the outcome is unknown; sending the same events again is safe
   */
  async run(events: readonly Event[]): Promise<Appended> {
    return this.#run(events, PARTITION_TRIES);
  }

  async #run(events: readonly Event[], tries: number): Promise<Appended> {
    try {
      return await this.#commit(events);
    } catch (error) {
      if (error instanceof SamplesRemoved) return this.#withoutRemoved(events, error.sources);
      if (isMissingPartition(error) && tries > 0) {
        await this.#makePartitions(events);
        return this.#run(events, tries - 1);
      }
      if (!isDataError(error) || isMissingPartition(error))
        throw new StoreUnavailable('PostgreSQL is unavailable', { cause: error });
      const [first] = events;
      if (events.length === 1 && first) {
        this.#log.warn({ event_id: first.event_id, err: error }, 'PostgreSQL refused the data of an event');
        const reason = error instanceof Error ? error.message : String(error);
        return { outcomes: [{ status: 'invalid', field: 'event', reason }], outboxIds: [] };
      }
      const middle = events.length >> 1;
      const left = await this.run(events.slice(0, middle));
      const right = await this.run(events.slice(middle));
      return {
        outcomes: [...left.outcomes, ...right.outcomes],
        outboxIds: [...left.outboxIds, ...right.outboxIds],
      };
    }
  }

  async #commit(events: readonly Event[]): Promise<Appended> {
    const now = this.#clock();
    const rules = this.#rules;
    let learned: Learned[] = [];
    const result = await this.#connections.transaction(async (transaction) => {
      const { db } = transaction;
      const [{ version, slot }, added, removed] = await Promise.all([
        enterAppend(transaction),
        insertEvents(transaction, events, now),
        this.#removedAmong(transaction, events),
      ]);
      if (removed && removed.size > 0) throw new SamplesRemoved(removed);
      if (version > rules.version) await rules.update(db, version);
      await rules.completeFull(db);
      const fresh = added === events.length ? null : await ownKeys(db, events);
      const { news, duplicates, isNew } = separate(events, fresh);
      const stored = duplicates.length > 0 ? await storedEvents(db, duplicates) : new Map<string, Event>();
      let outboxIds: string[] = [];
      if (news.length > 0) {
        const placed = await admit(db, rules.matchAll(news, now), slot);
        learned = placed.learned;
        const tallied = insertTally(transaction, slot, tally(news, placed.groups));
        const [outboxId] = await Promise.all([tallied, transaction.commit()]);
        if (outboxId !== null) outboxIds = [outboxId];
      } else await transaction.commit();
      const outcomes = events.map((event, i): Outcome => {
        if (isNew === null || isNew[i]) return { status: 'stored', event };
        return {
          status: 'duplicate',
          event: stored.get(eventKey(event.event_id, event.occurred_at)) ?? event,
        };
      });
      return { outcomes, outboxIds };
    });
    // Only what is committed may be remembered for later appends.
    learn(rules, learned);
    return result;
  }

  async #removedAmong(transaction: PipelinedTransaction, events: readonly Event[]) {
    if (!this.#ofProducers) return null;
    return removedAmong(transaction, [...new Set(events.map(({ source_id }) => source_id))]);
  }

  /** Stores the events without those of removed samples. */
  async #withoutRemoved(events: readonly Event[], removed: ReadonlySet<string>): Promise<Appended> {
    const rest = events.filter(({ source_id }) => !removed.has(source_id));
    const { outcomes, outboxIds } = rest.length > 0 ? await this.run(rest) : { outcomes: [], outboxIds: [] };
    const next = outcomes.values();
    const all = events.map(({ source_id }): Outcome => {
      if (removed.has(source_id)) return { status: 'invalid', field: 'source_id', reason: REMOVED };
      return next.next().value!;
    });
    return { outcomes: all, outboxIds };
  }

  /**
   * Creates the missing partitions. A bucket can begin on the day before its events, so counts may need the
   * partition of that day too.
   */
  async #makePartitions(events: readonly Event[]): Promise<void> {
    const now = this.#clock();
    const days = new Set<number>();
    for (const { occurred_at } of events) days.add(dayOf(occurred_at));
    for (const { buckets } of this.#rules.matchAll(events, now)) {
      for (const bucket of buckets.keys()) days.add(dayOf(bucket));
    }
    try {
      for (const day of days) await ensureDay(this.#orm, day);
    } catch (error) {
      throw new StoreUnavailable('a partition could not be made', { cause: error });
    }
  }
}

/**
 * Separates new from known events. Of two with the same identity in one batch, the first is new. If `fresh`
 * is null, all are new.
 */
function separate(events: readonly Event[], fresh: Set<string> | null) {
  if (fresh === null) return { news: events, duplicates: [], isNew: null };
  const isNew: boolean[] = [];
  const news: Event[] = [];
  const duplicates: Event[] = [];
  for (const event of events) {
    const first = fresh.delete(eventKey(event.event_id, event.occurred_at));
    isNew.push(first);
    (first ? news : duplicates).push(event);
  }
  return { news, duplicates, isNew };
}
