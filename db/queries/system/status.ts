import { sql } from 'kysely';
import { migrationsList } from '../../migrations/index.ts';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';

/**
 * Everything in the database that says whether alerting works. Ages are in seconds, and null if nothing
 * waits.
 */
export interface SystemState {
  /** The database's clock, in epoch milliseconds. All ages are by this clock. */
  now: number;
  /** Epoch milliseconds; 0 before the first sweep. */
  watermark: number;
  outbox: number;
  outbox_age: number | null;
  evaluations: number;
  evaluations_age: number | null;
  rules_not_ready: number;
  /** How many groups failed when they were last judged. */
  groups_failing: number;
  notices: number;
  notices_age: number | null;
  dead_letters: number;
  incidents_open: number;
  incidents_acknowledged: number;
}

export interface ProcessState {
  id: string;
  role: string;
  /** Epoch milliseconds. */
  started_at: number;
  beat_at: number;
  /** True if it ended in order. */
  ended: boolean;
  in_flight: number;
  buffered: number;
}

export async function systemState(db: Sql): Promise<SystemState> {
  const age = (column: string, table: string) => sql`
    (select extract(epoch from clock_timestamp() - min(${sql.ref(column)}))::float8 from ${sql.raw(table)})`;
  const { rows } = await sql<SystemState>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as now,
      (select value::float8 from watermark) as watermark,
      (select count(*)::int from wake_outbox) as outbox,
      ${age('created_at', 'wake_outbox')} as outbox_age,
      (select count(*)::int from pending_evaluations) as evaluations,
      ${age(
        'noted_at',
        `pending_evaluations p where not exists (select from rule_versions v
          where v.rule_id = p.rule_id and v.revision = p.revision and not v.ready)`,
      )} as evaluations_age,
      (select count(*)::int from rule_versions where not ready and superseded_at is null) as rules_not_ready,
      (select count(distinct (rule_id, group_key))::int from pending_evaluations where failures > 0) as groups_failing,
      (select count(*)::int from notices where not done) as notices,
      ${age('at', 'notices where not done')} as notices_age,
      (select count(*)::int from dead_letters where state = 'waiting') as dead_letters,
      (select count(*)::int from alert_incidents where state = 'open') as incidents_open,
      (select count(*)::int from alert_incidents where state = 'acknowledged') as incidents_acknowledged`.execute(
    db,
  );
  return rows[0]!;
}

/** All processes that are not retired, by role. */
export async function processStates(db: Sql): Promise<ProcessState[]> {
  const { rows } = await sql<ProcessState>`
    select id, role, ${ms('started_at')} as started_at,
      ${ms('beat_at')} as beat_at, ended_at is not null as ended, in_flight, buffered
    from processes where retired_at is null order by role, processes.started_at`.execute(db);
  return rows;
}

/** Names of migrations that this code needs and the database lacks. @throws when there is no schema at all */
export async function missingMigrations(db: Sql): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from migrations`.execute(db);
  const applied = new Set(rows.map(({ name }) => name));
  return migrationsList.map(({ name }) => name).filter((name) => !applied.has(name));
}

/** The sum of what live ingest processes hold. `now`: epoch ms. */
export async function ingestLoad(db: Sql, now: number): Promise<{ in_flight: number; buffered: number }> {
  const { rows } = await sql<{ in_flight: number; buffered: number }>`
    select coalesce(sum(in_flight), 0)::int as in_flight, coalesce(sum(buffered), 0)::int as buffered
    from processes where ingests and beat_at > ${instant(now - 5000)}`.execute(db);
  return rows[0]!;
}
