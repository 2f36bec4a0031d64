import type { Logger } from 'pino';
import { backfill, type Portions } from '../../activities/rules/backfill.ts';
import { evaluate } from '../../activities/rules/evaluate.ts';
import { sourceOf } from '../../activities/rules/readings.ts';
import { AppendConnections } from '../../db/connections/append-connections.ts';
import { connect, type Orm, sqlOf } from '../../db/orm.ts';
import { rearmRefreshed } from '../../db/queries/received-alerts/judging.ts';
import { type OpenIncidents, type RuleInput, updateRule } from '../../db/queries/rules/changes.ts';
import { loadRule, type Version } from '../../db/queries/rules/judging.ts';
import { takeDue, takeOutbox } from '../../db/queries/rules/wake.ts';
import { advanceWatermark } from '../../db/queries/rules/watermark.ts';
import type { Event } from '../../domain/events/event.ts';
import { RULE_DEFAULTS, type RuleDefinition } from '../../domain/rules/rule.ts';
import { Append, type Appended } from '../../ingest/append/append.ts';
import { EngineReads } from './engine-reads.ts';
import { freshDatabase } from './servers.ts';
import { silent } from './stage/log.ts';

/** An event with a new id. A test sets only the fields that matter to it. */
export const anEvent = (changes: Partial<Event> & { occurred_at: number }): Event => ({
  event_id: crypto.randomUUID(),
  source_id: 'source',
  severity: 'high',
  event_type: 'tick',
  payload: {},
  ...changes,
});

/** A rule for three ticks in ten seconds. A test sets only the fields that matter to it. */
export function aRule({
  threshold = 3,
  window = 10,
  definition = {},
  ...changes
}: Partial<Omit<RuleInput, 'definition'>> & {
  threshold?: number;
  /** The window in seconds. */
  window?: number;
  definition?: Partial<RuleDefinition>;
} = {}): RuleInput {
  return {
    name: 'ticks',
    enabled: true,
    definition: {
      condition: { kind: 'count', threshold_count: threshold, window_seconds: window },
      ...RULE_DEFAULTS,
      event_type: 'tick',
      ...definition,
    },
    late: 'notify',
    incident_severity: null,
    labels: {},
    annotations: {},
    sample: false,
    ...changes,
  };
}

/** Thrown in place of a commit, to see what a crash there leaves behind. */
export class Crash extends Error {}

/**
 * The path of an event on a real database, one step at a time and with its own clock. What processes do by
 * themselves happens here when the test says so, in any order.
 */
export class Engine extends EngineReads {
  now: number;
  #append: Append;
  readonly #connections: AppendConnections;
  readonly #drop: () => Promise<void>;
  readonly #nothing = async () => {};
  #beforeCommit = this.#nothing;
  /** The log of the rules' workers. */
  log: Logger = silent;
  /** The incidents that were signalled, in order. */
  readonly signalled: string[] = [];

  private constructor(orm: Orm, now: number, drop: () => Promise<void>) {
    super(orm);
    this.#connections = new AppendConnections(orm, 6);
    this.now = now;
    this.#drop = drop;
    this.#append = this.newAppend(() => this.#beforeCommit());
  }

  static async start(now: number): Promise<Engine> {
    const { url, drop } = await freshDatabase();
    return Engine.on(url, now, drop);
  }

  /** Makes an engine on an existing database. */
  static async on(url: string, now: number, drop = async () => {}): Promise<Engine> {
    return new Engine(await connect(url, 4), now, drop);
  }

  /** URL of its database. */
  get url(): string {
    return this.orm.config.get('clientUrl')!;
  }

  async stop(): Promise<void> {
    await this.#connections.close();
    await this.orm.close(true);
    await this.#drop();
  }

  /** Another process takes over appending, and remembers no rules and groups yet. */
  restart(): void {
    this.#append = this.newAppend(() => this.#beforeCommit());
  }

  /** Stores events, and returns the outcome of each. */
  store(events: readonly Event[]): Promise<Appended> {
    return this.#append.run(events);
  }

  /** Stores events, and returns the outbox rows that their waker would take. */
  async append(events: readonly Event[], beforeCommit = this.#nothing): Promise<string[]> {
    this.#beforeCommit = beforeCommit;
    try {
      return (await this.store(events)).outboxIds;
    } finally {
      this.#beforeCommit = this.#nothing;
    }
  }

  /** Does what the waker does after an append; without ids, what the sweep does with rows left behind. */
  async wake(ids: readonly string[] | null = null): Promise<string[]> {
    return takeOutbox(sqlOf(this.orm), ids);
  }

  /** Moves the watermark, and takes what is due. */
  async sweep(watermark: number): Promise<string[]> {
    const reached = await advanceWatermark(sqlOf(this.orm), watermark, this.now);
    await rearmRefreshed(sqlOf(this.orm), reached);
    return takeDue(sqlOf(this.orm), { now: this.now, watermark: reached });
  }

  /**
   * One call of the rule's workflow. It must judge everything that can be judged, and require no backfill.
   */
  evaluate(
    ruleId: string,
    orm: Orm = this.orm,
  ): Promise<{ gone: boolean; backfill: number | null; more: boolean }> {
    const signalIncidents = async (ids: readonly string[]) => {
      this.signalled.push(...ids);
    };
    return evaluate(
      { orm, clock: () => this.now, log: this.log, signalIncidents, signalRules: async () => {} },
      ruleId,
    );
  }

  /** Does what the rule's workflow does after a wake, until nothing is left. */
  async judge(ruleId: string, orm: Orm = this.orm): Promise<void> {
    while (true) {
      const result = await this.evaluate(ruleId, orm);
      if (result.gone) return;
      if (result.backfill !== null) {
        const rule = await loadRule(sqlOf(this.orm), ruleId);
        const version = rule?.versions.find(({ revision }) => revision === result.backfill);
        if (version) await sourceOf(version).makeReady(orm, version, {});
      } else if (!result.more) return;
    }
  }

  /** Like `judge`, but the process dies in place of its n-th commit. */
  async judgeAndCrash(ruleId: string, nth: number): Promise<void> {
    try {
      await this.judgeWith(ruleId, (n) => {
        if (n === nth) throw new Crash('killed before the commit');
      });
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
    }
  }

  /** Like `judge`, with a callback before each commit, counted from 0. */
  async judgeWith(ruleId: string, beforeCommit: (n: number) => void | Promise<void>): Promise<void> {
    await this.judge(ruleId, this.hooked(beforeCommit));
  }

  /** Runs the backfill of a revision. */
  backfill(version: Version): Promise<void> {
    return backfill(this.orm, version);
  }

  /**
   * Runs the backfill of a rule's first revision, and dies before the n-th commit. Returns false if it
   * finished before.
   */
  async backfillAndCrash(ruleId: string, nth: number, portions: Portions): Promise<boolean> {
    const hooked = this.hooked((n) => {
      if (n === nth) throw new Crash('killed before the commit');
    });
    try {
      await backfill(hooked, await this.version(ruleId, 1), { portions });
      return false;
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      return true;
    }
  }

  /** The same database with a callback before each commit. */
  hooked(beforeCommit: (n: number) => void | Promise<void>): Orm {
    let commits = 0;
    /** The error that replaced a commit. A process that died there does nothing more. */
    let dead: { error: unknown } | null = null;
    const fork = () => {
      if (dead) throw dead.error;
      const em = this.orm.em.fork();
      const transactional = em.transactional.bind(em);
      em.transactional = (work, options) =>
        transactional(async (inner) => {
          const result = await work(inner);
          try {
            await beforeCommit(commits++);
          } catch (error) {
            dead = { error };
            throw error;
          }
          return result;
        }, options);
      return em;
    };
    return { em: { fork } } as unknown as Orm;
  }

  /** Changes a rule, and returns what happens to its open incidents. */
  async edit(ruleId: string, patch: Partial<RuleInput>): Promise<OpenIncidents | undefined> {
    return (await updateRule(this.orm, ruleId, () => patch, this.now))?.open_incidents;
  }

  /** Appends, wakes and judges: what happens by itself within a moment. */
  async arrive(ruleId: string, events: readonly Event[]): Promise<void> {
    await this.wake(await this.append(events));
    await this.judge(ruleId);
  }

  /** Moves the clock and the watermark to `now`, and judges what is due. */
  async pass(ruleId: string, now: number): Promise<void> {
    this.now = now;
    await this.settle(ruleId);
  }

  /**
   * Lets everything come to rest: all stored events are woken and judged, with the watermark at the clock.
   */
  async settle(ruleId: string): Promise<void> {
    do {
      await this.wake();
      await this.judge(ruleId);
    } while ((await this.sweep(this.now)).length > 0);
  }

  /** An append of another process at the same time, with a callback before each of its commits. */
  newAppend(beforeCommit: () => Promise<void> = async () => {}, ofProducers = false): Append {
    const transaction: AppendConnections['transaction'] = (work) =>
      this.#connections.transaction((inner) => {
        const commit = async () => {
          await beforeCommit();
          await inner.commit();
        };
        return work({ ...inner, commit });
      });
    return new Append({
      ...{ orm: this.orm, connections: { transaction }, clock: () => this.now, log: silent },
      ofProducers,
    });
  }
}
