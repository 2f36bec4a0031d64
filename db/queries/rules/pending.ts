import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { ms } from '../../time.ts';
import type { Version } from './judging.ts';

export interface PendingRow {
  group_key: string;
  late: boolean;
  from_at: number;
  to_at: number;
  /** Increases with each wake that is merged into the row. */
  generation: string;
}

/**
 * Reads pending evaluations without a lock; wakers may merge into them while they are judged. Reads either up
 * to `limit` groups, those that waited longest first so that busy groups do not delay others, or the named
 * groups.
 */
export async function readPending(
  db: Sql,
  { rule_id, revision }: Version,
  which: { limit: number } | { keys: readonly string[] },
): Promise<PendingRow[]> {
  const ofRevision = sql`rule_id = ${rule_id} and revision = ${revision}`;
  const groups =
    'keys' in which
      ? sql`any(${which.keys}::text[])`
      : sql`any(array(
          select group_key from pending_evaluations
          where ${ofRevision} and (retry_at is null or retry_at <= now()) order by noted_at limit ${which.limit}))`;
  const { rows } = await sql<PendingRow>`
    select group_key, late, from_at::float8 as from_at, to_at::float8 as to_at, generation
    from pending_evaluations where ${ofRevision} and group_key = ${groups} order by group_key, late`.execute(
    db,
  );
  return rows;
}

/**
 * Deletes pending rows that are done and unchanged since they were read. A row that was changed since, or
 * whose group must be judged again, moves to the end of the queue. Rows are locked in the same order as
 * wakers lock them.
 */
export async function closePending(
  db: Sql,
  { rule_id, revision }: Version,
  read: readonly (PendingRow & { done: boolean })[],
): Promise<void> {
  const given = read.map(({ group_key, late, generation, done }) => ({ group_key, late, generation, done }));
  await sql`
    with locked as (
      select p.ctid as id, x.done and p.generation = x.generation as done
      from pending_evaluations p
      join jsonb_to_recordset(${JSON.stringify(given)}::jsonb)
        as x(group_key text, late boolean, generation bigint, done boolean) using (group_key, late)
      where p.rule_id = ${rule_id} and p.revision = ${revision}
      order by p.group_key, p.late for update of p
    ), deleted as (
      delete from pending_evaluations where ctid = any(array(select id from locked where done))
    )
    update pending_evaluations set noted_at = clock_timestamp()
    where ctid = any(array(select id from locked where not done))`.execute(db);
}

/**
 * Defers a group whose judging failed, each time for longer, up to 10 minutes, so that it does not prevent
 * others of its rule from being judged.
 */
export async function putOff(
  db: Sql,
  { rule_id, revision }: Version,
  groupKey: string,
  failure: string,
): Promise<void> {
  await sql`
    update pending_evaluations set failures = failures + 1, failure = ${failure}, noted_at = clock_timestamp(),
      failed_since = coalesce(failed_since, clock_timestamp()),
      retry_at = clock_timestamp() + least(10 * 2 ^ least(failures, 10), 600) * interval '1 second'
    where rule_id = ${rule_id} and revision = ${revision} and group_key = ${groupKey}`.execute(db);
}

/** Makes deferred groups due now, before their revision hands over. */
export async function putOffNoLonger(db: Sql, { rule_id, revision }: Version): Promise<void> {
  await sql`
    update pending_evaluations set retry_at = null
    where rule_id = ${rule_id} and revision = ${revision} and retry_at is not null`.execute(db);
}

/** Reads up to 100 deferred groups of a revision. */
export async function putOffGroups(db: Sql, { rule_id, revision }: Version): Promise<string[]> {
  const { rows } = await sql<{ group_key: string }>`
    select distinct group_key from pending_evaluations
    where rule_id = ${rule_id} and revision = ${revision} and retry_at > now() order by 1 limit 100`.execute(
    db,
  );
  return rows.map(({ group_key }) => group_key);
}

/** A group that failed when it was last judged. Times in epoch ms. */
export interface FailingGroup {
  rule_id: string;
  rule_name: string;
  group_key: string;
  failures: number;
  failure: string;
  /** When it failed for the first time. */
  failed_since: number;
  retry_at: number;
}

/**
 * Reads groups that cannot be judged, to show them to people: at most ten, those that failed most often
 * first.
 */
export async function failingGroups(db: Sql): Promise<FailingGroup[]> {
  const { rows } = await sql<FailingGroup>`
    select distinct on (failures, rule_id, group_key) rule_id, name as rule_name, group_key, failures, failure,
      ${ms('failed_since')} as failed_since, ${ms('retry_at')} as retry_at
    from pending_evaluations p join alert_rules r on r.id = p.rule_id where failures > 0
    order by failures desc, rule_id, group_key limit 10`.execute(db);
  return rows;
}
