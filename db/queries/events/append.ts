import { sql } from 'kysely';
import type { Event } from '../../../domain/events/event.ts';
import { OVERFLOW_GROUP } from '../../../domain/rules/group.ts';
import type { RuleDefinition } from '../../../domain/rules/rule.ts';
import type { PipelinedTransaction, Statement } from '../../connections/append-connections.ts';
import { LOCKS } from '../../locks.ts';
import type { Sql } from '../../orm.ts';
import { ms } from '../../time.ts';
import { ADD_COUNT, FULL_ROWS } from '../rules/kept-times.ts';

const shareRuleSet: Statement = {
  name: 'share_rule_set',
  text: `select pg_advisory_xact_lock_shared(${LOCKS.ruleSet})`,
};
const claimSlot: Statement = {
  name: 'claim_slot',
  text: `
    select version::float8 as version,
      (select s from generate_series(0, 31) s where pg_try_advisory_xact_lock(${LOCKS.slot}, s) limit 1) as slot
    from rule_set`,
};

/**
 * Begins an append: takes the shared lock of the rule set, so that no rule changes until the transaction
 * ends. A second statement reads the version, because its snapshot must be newer than the lock. It also takes
 * a slot, so that concurrent appends never wait for each other's counts. Low slots are taken first, so that a
 * quiet system has few rows.
 */
export async function enterAppend({
  send,
  db,
}: PipelinedTransaction): Promise<{ version: number; slot: number }> {
  const [, { rows }] = await Promise.all([
    send(shareRuleSet),
    send<{ version: number; slot: number | null }>(claimSlot),
  ]);
  const { version, slot } = rows[0]!;
  if (slot === null) await sql`select pg_advisory_xact_lock(${LOCKS.slot}, 0)`.execute(db);
  return { version, slot: slot ?? 0 };
}

/** A revision that appends must count events for. */
export interface RuleInForce {
  rule_id: string;
  revision: number;
  definition: RuleDefinition;
  /** The revision that introduced its `group_by`. */
  groups_from: number;
}

/**
 * The rules that changed after version `before` of the rule set, up to `version`. Null if the record no
 * longer goes back that far; then all rules must be read.
 */
export async function rulesChanged(db: Sql, before: number, version: number): Promise<string[] | null> {
  const { rows } = await sql<{ rule_id: string }>`
    select rule_id from rule_changes where version > ${before}::bigint and version <= ${version}::bigint
    limit ${MOST_CHANGES + 1}`.execute(db);
  if (rows.length !== version - before) return null;
  return [...new Set(rows.map(({ rule_id }) => rule_id))];
}

/** If more rules changed than this, all rules are read. */
const MOST_CHANGES = 1000;

/** The revisions in force that count events: those of enabled rules that have a window. */
export async function rulesInForce(
  db: Sql,
  ids: readonly string[] | null,
): Promise<(RuleInForce & { forgetting: boolean })[]> {
  const { rows } = await sql<RuleInForce & { forgetting: boolean }>`
    select rule_id, revision, definition, groups_from, forgetting from rule_versions
    where superseded_at is null and enabled and window_ms > 0
      ${ids === null ? sql`` : sql`and rule_id = any(${ids}::uuid[])`}`.execute(db);
  return rows;
}

/** The groups that a rule has admitted. */
export async function admittedGroups(db: Sql, ruleId: string, groupsFrom: number): Promise<string[]> {
  const { rows } = await sql<{ group_key: string }>`
    select group_key from rule_groups
    where rule_id = ${ruleId} and groups_from >= ${groupsFrom} and group_key <> ${OVERFLOW_GROUP}`.execute(
    db,
  );
  return rows.map(({ group_key }) => group_key);
}

const insert: Statement = {
  name: 'insert_events',
  text: `
    insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
    select event_id, to_timestamp(occurred_at / 1000.0), source_id, severity, event_type, payload,
      to_timestamp($2::float8 / 1000)
    from jsonb_to_recordset($1::jsonb) as e(
      event_id uuid, occurred_at bigint, source_id text, severity text, event_type text, payload jsonb)
    order by event_id, occurred_at
    on conflict do nothing`,
};

/** Stores events and returns how many are new. They are sorted, so that concurrent appends never deadlock. */
export async function insertEvents(
  { send }: PipelinedTransaction,
  events: readonly Event[],
  now: number,
): Promise<number> {
  return (await send(insert, [JSON.stringify(events), now])).rowCount ?? 0;
}

/** Says which of these events this transaction has stored, by their keys. */
export async function ownKeys(db: Sql, events: readonly Event[]): Promise<Set<string>> {
  const keys = events.map(({ event_id, occurred_at }) => ({ event_id, occurred_at }));
  const { rows } = await sql<{ event_id: string; at: number }>`
    select e.event_id, ${ms('e.occurred_at')} as at
    from jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as k(event_id uuid, occurred_at bigint)
    join events e on e.event_id = k.event_id and e.occurred_at = to_timestamp(k.occurred_at / 1000.0)
    where e.xid = pg_current_xact_id()`.execute(db);
  return new Set(rows.map(({ event_id, at }) => eventKey(event_id, at)));
}

export const eventKey = (eventId: string, occurredAt: number) => `${eventId} ${occurredAt}`;

/**
 * Reads stored events by their identity, to answer duplicates. It must be a statement of its own: its
 * snapshot then sees the events of the append that came first.
 */
export async function storedEvents(
  db: Sql,
  keys: readonly { event_id: string; occurred_at: number }[],
): Promise<Map<string, Event>> {
  const { rows } = await sql<Event>`
    select e.event_id, ${ms('e.occurred_at')} as occurred_at,
      e.source_id, e.severity, e.event_type, e.payload
    from jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as k(event_id uuid, occurred_at bigint)
    join events e on e.event_id = k.event_id and e.occurred_at = to_timestamp(k.occurred_at / 1000.0)`.execute(
    db,
  );
  return new Map(rows.map((event) => [eventKey(event.event_id, event.occurred_at), event]));
}

/**
 * Makes the statement that writes counts, rollups and the outbox row. `counted` adds the counts in $2 to slot
 * $1.
 */
const tallyOf = (name: string, counted: string): Statement => ({
  name,
  text: `
    with rolled as (
      insert into event_rollups as c (minute, severity, event_type, slot, n)
      select minute, severity, event_type, $1::smallint, n
      from jsonb_to_recordset($3::jsonb) as x(minute bigint, severity text, event_type text, n bigint)
      on conflict (minute, severity, event_type, slot) do update set n = c.n + excluded.n
    ), ${counted}
    insert into wake_outbox (touched)
    select touched from (select $4::jsonb as touched) x
    where jsonb_array_length(touched) > 0
    returning id`,
});

/**
 * The statement for appends whose rules all have short windows. Without times it costs PostgreSQL 2 to 5 %
 * less.
 */
const countsAlone = tallyOf(
  'insert_tally',
  `counted as (
      insert into window_counts as c (rule_id, revision, group_key, bucket, slot, n)
      select rule_id, layer, group_key, bucket, $1::smallint, n
      from jsonb_to_recordset($2::jsonb) as x(
        rule_id uuid, layer int, group_key text, bucket bigint, n int)
      on conflict (rule_id, revision, group_key, bucket, slot) do update set n = c.n + excluded.n
    )`,
);

const countsWithTimes = tallyOf(
  'insert_tally_with_times',
  `counted as (
      insert into window_counts as c (rule_id, revision, group_key, bucket, slot, n, moved, times)
      select rule_id, layer, group_key, bucket, $1::smallint, n, coalesce(moved, 0), times
      from jsonb_to_recordset($2::jsonb) as x(
        rule_id uuid, layer int, group_key text, bucket bigint, n int, moved int, times bytea)
      ${ADD_COUNT}
    ), kept as (
      insert into window_times (rule_id, revision, group_key, bucket, first, last, times)
      ${FULL_ROWS}
      union all
      select rule_id, layer, group_key, bucket, first, last, times
      from jsonb_to_recordset($5::jsonb) as x(
        rule_id uuid, layer int, group_key text, bucket bigint, first int, last int, times bytea)
    )`,
);

/**
 * Writes counts, rollups and the outbox row in one statement. Returns the id of the outbox row; null if no
 * group was touched.
 */
export async function insertTally(
  { send }: PipelinedTransaction,
  slot: number,
  tally: {
    counts: readonly { times?: string }[];
    times: readonly unknown[];
    touched: readonly unknown[];
    rollups: readonly unknown[];
  },
): Promise<string | null> {
  const keeps = tally.counts.some(({ times }) => times !== undefined);
  const given = [tally.counts, tally.rollups, tally.touched, ...(keeps ? [tally.times] : [])];
  const { rows } = await send<{ id: string }>(keeps ? countsWithTimes : countsAlone, [
    slot,
    ...given.map((some) => JSON.stringify(some)),
  ]);
  return rows[0]?.id ?? null;
}

/** Adds to the number of events that went to a rule's overflow group. */
export async function countOverflow(
  db: Sql,
  slot: number,
  overflow: ReadonlyMap<string, number>,
): Promise<void> {
  const given = [...overflow].map(([rule_id, events]) => ({ rule_id, events }));
  await sql`
    insert into rule_overflow as o (rule_id, slot, events)
    select rule_id, ${slot}::smallint, x.events
    from jsonb_to_recordset(${JSON.stringify(given)}::jsonb) as x(rule_id uuid, events bigint)
    on conflict (rule_id, slot) do update set events = o.events + excluded.events`.execute(db);
}

/** A group that a rule shall admit, if its limit allows it. */
export interface Wanted {
  rule_id: string;
  group_key: string;
  max_groups: number;
  /** The revision that introduced the rule's `group_by`. */
  groups_from: number;
}

/**
 * Admits unknown groups up to the limit of their rule. A lock lets only one append at a time admit groups to
 * a rule, so the limit is exact. Groups of an earlier `group_by` do not count. `materialized` makes
 * PostgreSQL count the free places once instead of once per group: 10,000 groups took 2 s instead of 19.
 * @returns those of the wanted groups that are admitted now (`rule_id group_key`)
 */
export async function admitGroups(
  db: Sql,
  wanted: readonly Wanted[],
): Promise<{ rule_id: string; group_key: string }[]> {
  await sql`
    select pg_advisory_xact_lock(${LOCKS.groups}, hashtext(rule_id::text)) from (
      select distinct rule_id from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) as x(rule_id uuid)
      order by rule_id) r`.execute(db);
  const { rows } = await sql<{ rule_id: string; group_key: string }>`
    with wanted as (
      select * from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb)
        as x(rule_id uuid, group_key text, max_groups int, groups_from int)
    ), known as (
      select g.rule_id, g.group_key from wanted w join rule_groups g using (rule_id, group_key)
      where g.groups_from >= w.groups_from
    ), room as materialized (
      select rule_id, max_groups - (
        select count(*) from rule_groups g
        where g.rule_id = w.rule_id and g.groups_from >= w.groups_from and g.group_key <> '*') as n
      from (select distinct rule_id, max_groups, groups_from from wanted) w
    ), admitted as (
      insert into rule_groups as g (rule_id, group_key, groups_from)
      select rule_id, group_key, groups_from from (
        select w.rule_id, w.group_key, w.groups_from,
          row_number() over (partition by w.rule_id order by w.group_key) as position
        from wanted w where not exists (
          select from known k where k.rule_id = w.rule_id and k.group_key = w.group_key)
      ) unknown join room using (rule_id) where position <= room.n or group_key = ''
      on conflict (rule_id, group_key) do update set groups_from = excluded.groups_from
      returning rule_id, group_key
    )
    select * from known union all select * from admitted`.execute(db);
  return rows;
}

/**
 * Fixes a time for each id, unless one was fixed before. The ids are sorted to avoid deadlocks. Returns the
 * times in the given order.
 */
export async function claimTimes(
  db: Sql,
  claims: readonly { event_id: string; occurred_at: number }[],
): Promise<number[]> {
  const { rows } = await sql<{ event_id: string; at: number }>`
    insert into event_ids as i (event_id, occurred_at)
    select distinct on (event_id) event_id, occurred_at
    from jsonb_to_recordset(${JSON.stringify(claims)}::jsonb) as x(event_id uuid, occurred_at bigint)
    order by event_id
    on conflict (event_id) do update set occurred_at = i.occurred_at
    returning event_id, occurred_at::float8 as at`.execute(db);
  const times = new Map(rows.map(({ event_id, at }) => [event_id, at]));
  return claims.map(({ event_id }) => times.get(event_id)!);
}
