import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import type { Logger } from 'pino';
import { backfill, type Portions } from '../../activities/rules/backfill.ts';
import { evaluate } from '../../activities/rules/evaluate.ts';
import { sourceOf } from '../../activities/rules/readings.ts';
import { AppendConnections } from '../../db/connections/append-connections.ts';
import { type Incident, IncidentEntity, NoticeEntity } from '../../db/entities/incident.ts';
import { LOCKS } from '../../db/locks.ts';
import { connect, type Orm, type Sql, sqlOf } from '../../db/orm.ts';
import { rearmRefreshed } from '../../db/queries/received-alerts/judging.ts';
import { type OpenIncidents, type RuleInput, updateRule } from '../../db/queries/rules/changes.ts';
import { loadRule, type Version } from '../../db/queries/rules/judging.ts';
import { takeDue, takeOutbox } from '../../db/queries/rules/wake.ts';
import { advanceWatermark } from '../../db/queries/rules/watermark.ts';
import type { Event } from '../../domain/events/event.ts';
import { RULE_DEFAULTS, type RuleDefinition } from '../../domain/rules/rule.ts';
import { Append, type Appended } from '../../ingest/append/append.ts';
import { freshDatabase } from './servers.ts';
import { silent } from './stage/log.ts';
import { waitFor } from './wait-for.ts';

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
export class Engine {
  readonly orm: Orm;
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
    this.orm = orm;
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

  /** The version of the rule set. */
  async ruleSetVersion(): Promise<number> {
    const { rows } = await sql<{ version: number }>`select version::int as version from rule_set`.execute(
      sqlOf(this.orm),
    );
    return rows[0]!.version;
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

  /** Reads a revision like the judge. */
  async version(ruleId: string, revision: number): Promise<Version> {
    const rule = await loadRule(sqlOf(this.orm), ruleId);
    return rule!.versions.find((version) => version.revision === revision)!;
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

  /** Says whether an append could admit a group of the rule now, or would have to wait. */
  async admits(ruleId: string): Promise<boolean> {
    const { rows } = await sql<{ free: boolean }>`
      select pg_try_advisory_xact_lock(${LOCKS.groups}, hashtext(${ruleId})) as free`.execute(
      sqlOf(this.orm),
    );
    return rows[0]!.free;
  }

  /** PostgreSQL's plan of the last statement that `queries` sends, in the same transaction. */
  async planOf(queries: (db: Sql) => Promise<unknown>): Promise<string> {
    const client = new pg.Client(this.orm.config.get('clientUrl'));
    await client.connect();
    try {
      let last: [string, unknown[]] = ['', []];
      const query = (text: string, values: unknown[]) => {
        last = [text, values];
        return client.query(text, values);
      };
      const lent = { query, release() {} } as unknown as pg.PoolClient;
      const pool = { connect: async () => lent, end: async () => {}, options: {} };
      await client.query('begin');
      await queries(new Kysely({ dialect: new PostgresDialect({ pool }) }));
      const { rows } = await client.query({
        text: `explain (costs off) ${last[0]}`,
        values: last[1],
        rowMode: 'array',
      });
      return rows.flat().join('\n');
    } finally {
      await client.end();
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

  /** The incidents of a rule, in the order in which they opened. */
  incidents(ruleId: string): Promise<Incident[]> {
    const orderBy = { openedAt: 'asc', groupKey: 'asc' } as const;
    return this.orm.em.fork().find(IncidentEntity, { ruleId }, { orderBy });
  }

  /** The kinds of an incident's notices, in order. */
  async notices(incidentId: string): Promise<string[]> {
    const orderBy = { at: 'asc', kind: 'asc' } as const;
    return (await this.orm.em.fork().find(NoticeEntity, { incidentId }, { orderBy })).map(({ kind }) => kind);
  }

  /** How many rows of a table belong to a rule. */
  async rows(table: string, ruleId: string): Promise<number> {
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from ${sql.table(table)} where rule_id = ${ruleId}`.execute(sqlOf(this.orm));
    return rows[0]!.n;
  }

  /** Resolves when `work` is done, or waits for a lock. */
  async doneOrBlocked(work: Promise<unknown>): Promise<void> {
    await this.isBlocked(work);
  }

  /** Resolves to false when `work` is done, or to true when it waits for a lock. */
  async isBlocked(work: Promise<unknown>): Promise<boolean> {
    let done = false;
    const end = () => {
      done = true;
    };
    work.then(end, end);
    await waitFor(
      async () => {
        if (done) return true;
        const { rows } = await sql`
          select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
          sqlOf(this.orm),
        );
        return done || rows.length > 0;
      },
      { what: 'it to be done or to wait for a lock', everyMs: 5 },
    );
    return !done;
  }

  /** How many events a revision of the rule has counted so far. */
  async counted(ruleId: string, revision: number): Promise<number> {
    const { rows } = await sql<{ n: number }>`
      select coalesce(sum(n), 0)::int as n from window_counts
      where rule_id = ${ruleId} and revision = ${revision}`.execute(sqlOf(this.orm));
    return rows[0]!.n;
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
