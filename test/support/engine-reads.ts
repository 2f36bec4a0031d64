import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { type Incident, IncidentEntity, NoticeEntity } from '../../db/entities/incident.ts';
import { LOCKS } from '../../db/locks.ts';
import { type Orm, type Sql, sqlOf } from '../../db/orm.ts';
import { loadRule, type Version } from '../../db/queries/rules/judging.ts';
import { waitFor } from './wait-for.ts';

/** Reads what the path of events left in its database. */
export class EngineReads {
  readonly orm: Orm;

  constructor(orm: Orm) {
    this.orm = orm;
  }

  /** The version of the rule set. */
  async ruleSetVersion(): Promise<number> {
    const { rows } = await sql<{ version: number }>`select version::int as version from rule_set`.execute(
      sqlOf(this.orm),
    );
    return rows[0]!.version;
  }

  /** Reads a revision like the judge. */
  async version(ruleId: string, revision: number): Promise<Version> {
    const rule = await loadRule(sqlOf(this.orm), ruleId);
    return rule!.versions.find((version) => version.revision === revision)!;
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
}
