import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { PARTITIONED } from '../../partitions.ts';

/**
 * Identifies the cluster: its data directory (null if this role may not see it) and its system identifier.
 */
export async function clusterIdentity(db: Sql): Promise<{ directory: string | null; identifier: string }> {
  const { rows } = await sql<{ directory: string | null; identifier: string }>`
    select case when pg_has_role(current_user, 'pg_read_all_settings', 'usage')
        then current_setting('data_directory') end as directory,
      (select system_identifier::text from pg_control_system()) as identifier`.execute(db);
  return rows[0]!;
}

/**
 * The size of the whole cluster in bytes: every database, and the WAL if this role may see it (`pg_monitor`).
 * Databases to which the role may not connect are counted if it has `pg_monitor` or owns them.
 */
export async function bytesInUse(db: Sql): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`
    select coalesce(sum(pg_database_size(oid)), 0)::float8
      + case when pg_has_role(current_user, 'pg_monitor', 'usage')
          then (select coalesce(sum(size), 0) from pg_ls_waldir())::float8 else 0 end as bytes
    from pg_database
    where has_database_privilege(oid, 'connect') or pg_has_role(current_user, 'pg_read_all_stats', 'usage')`.execute(
    db,
  );
  return rows[0]!.bytes;
}

/** The size of a table with its indexes and TOAST; for a partitioned one, with all partitions. */
export interface TableSize {
  name: string;
  bytes: number;
  /** As estimated by the last vacuum or analyze; null before the first. */
  rows_estimate: number | null;
}

/** Sizes of all our tables, the largest first. */
export async function tableSizes(db: Sql): Promise<TableSize[]> {
  const { rows } = await sql<TableSize>`
    select coalesce(parent.relname, c.relname) as name, sum(pg_total_relation_size(c.oid))::float8 as bytes,
      sum(nullif(c.reltuples, -1))::float8 as rows_estimate
    from pg_class c
    left join pg_inherits i on i.inhrelid = c.oid left join pg_class parent on parent.oid = i.inhparent
    where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
    group by 1 order by 2 desc, 1`.execute(db);
  return rows;
}

/** The partitions of one day. `day` is its start, epoch milliseconds. */
export interface DaySize {
  day: number;
  /** True if the day never had an event. */
  empty: boolean;
  events_bytes: number;
  /** As estimated by the last vacuum or analyze; null before the first. */
  events_estimate: number | null;
  /** The size of the counts, with the exact times kept beside them. */
  counts_bytes: number;
}

/** The day partitions of events and counts, newest first. */
export async function daySizes(db: Sql): Promise<DaySize[]> {
  const { rows } = await sql<DaySize>`
    select (extract(epoch from to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp) * 1000)::float8 as day,
      coalesce(sum(pg_relation_size(c.oid)) filter (where parent.relname = 'events'), 0) = 0 as empty,
      coalesce(sum(pg_total_relation_size(c.oid)) filter (where parent.relname = 'events'), 0)::float8 as events_bytes,
      (sum(nullif(c.reltuples, -1)) filter (where parent.relname = 'events'))::float8 as events_estimate,
      coalesce(sum(pg_total_relation_size(c.oid)) filter (where parent.relname <> 'events'), 0)::float8 as counts_bytes
    from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class parent on parent.oid = i.inhparent
    where parent.relname = any(${PARTITIONED}::text[])
      and parent.relnamespace = current_schema()::regnamespace
    group by 1 order by 1 desc`.execute(db);
  return rows;
}

/** The size of the database in bytes. */
export async function databaseSize(db: Sql): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`
    select pg_database_size(current_database())::float8 as bytes`.execute(db);
  return rows[0]!.bytes;
}
