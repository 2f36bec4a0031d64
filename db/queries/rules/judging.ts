import { sql } from 'kysely';
import type { Event } from '../../../domain/events/event.ts';
import { type FieldTexts, textsOfGroups } from '../../../domain/rules/group.ts';
import type { RuleDefinition } from '../../../domain/rules/rule.ts';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';
import { layersOf } from './layers.ts';

/** A revision of a rule, as judging needs it. Times in epoch milliseconds. */
export interface Version {
  rule_id: string;
  revision: number;
  definition: RuleDefinition;
  enabled: boolean;
  ready: boolean;
  effective_at: number;
  superseded_at: number | null;
  /** True if its successor judges. Its pending groups are those that could not be judged before. */
  handed_over: boolean;
  counted_from: number;
  snapshot: string;
  /** The revision reads the layers of counts from this number up to its own. */
  first_layer: number;
  /** The revision that introduced its `group_by`. */
  groups_from: number;
  /**
   * The successor's snapshot. Events that it does not see came after this revision's time. Null for the
   * revision in force.
   */
  until_snapshot: string | null;
}

/** The texts and settings of a rule that its incidents use. */
export interface RuleWords {
  name: string;
  late: 'notify' | 'record';
  incident_severity: string | null;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  deleted: boolean;
}

const WORDS = sql`r.name, r.late, r.incident_severity, r.labels, r.annotations, r.deleted_at is not null as deleted`;

/**
 * Reads a rule and its revisions that still have something to judge, oldest first, in one statement. Null if
 * the rule is gone.
 */
export async function loadRule(
  db: Sql,
  ruleId: string,
): Promise<{ words: RuleWords; versions: Version[] } | null> {
  const { rows } = await sql<RuleWords & { version: Version | null }>`
    select ${WORDS}, v.version from alert_rules r left join (
      select rule_id, revision, jsonb_build_object('rule_id', rule_id, 'revision', revision, 'definition', definition,
        'enabled', enabled, 'ready', ready, 'effective_at', ${ms('effective_at')},
        'superseded_at', ${ms('superseded_at')}, 'handed_over', handed_over, 'counted_from', ${ms('counted_from')}, 'snapshot', snapshot, 'groups_from', groups_from,
        'first_layer', coalesce(first_layer, revision),
        'until_snapshot', coalesce(until_snapshot, lead(snapshot) over (order by revision))) as version
      from rule_versions where rule_id = ${ruleId} and not settled
    ) v on v.rule_id = r.id
    where r.id = ${ruleId} order by v.revision`.execute(db);
  const [first] = rows;
  if (!first) return null;
  const { version: _version, ...words } = first;
  return { words, versions: rows.flatMap(({ version }) => version ?? []) };
}

/**
 * Locks a revision and checks that it has not changed since it was read. A process may freeze after reading,
 * while others judge and settle the revision. Until this transaction ends, nobody can change, settle or
 * remove it. Every transaction that judges or settles begins with this.
 * @param how `judging` allows other judges at the same time; `settling` excludes them
 * @returns the rule's current texts; null if the revision has changed
 */
export async function holdVersion(
  db: Sql,
  version: Version,
  how: 'judging' | 'settling',
): Promise<RuleWords | null> {
  const { rows } = await sql<
    RuleWords & Pick<Version, 'superseded_at' | 'ready' | 'handed_over'> & { settled: boolean }
  >`
    select ${WORDS}, ${ms('v.superseded_at')} as superseded_at, v.ready, v.handed_over, v.settled
    from rule_versions v join alert_rules r on r.id = v.rule_id
    where v.rule_id = ${version.rule_id} and v.revision = ${version.revision}
    ${how === 'judging' ? sql`for share of v` : sql`for update of v`}`.execute(db);
  const [row] = rows;
  if (!row) return null;
  const { superseded_at, ready, handed_over, settled, ...words } = row;
  if (settled || ready !== version.ready || superseded_at !== version.superseded_at) return null;
  if (handed_over !== version.handed_over) return null;
  return words;
}

/**
 * Prevents that the rule is removed during a backfill. It may still be changed. Returns false if there is
 * nothing to backfill: the revision is ready, superseded, or gone.
 */
export async function keepVersion(db: Sql, { rule_id, revision }: Version): Promise<boolean> {
  const { rows } = await sql`
    select from rule_versions
    where rule_id = ${rule_id} and revision = ${revision} and not ready and superseded_at is null
    for key share`.execute(db);
  return rows.length > 0;
}

/** The standing of a group when it was last judged. Epoch ms. */
export interface GroupStanding {
  state: string;
  since: number | null;
  next_due: number | null;
  /** When the first deferred episode began; null if there is none. Judging goes back to there. */
  deferred_from: number | null;
  /** True if all deferred episodes began among late events. */
  deferred_late: boolean | null;
}

/** A group's standing as the last judging stored it. */
export type LastStanding = GroupStanding & {
  /**
   * True if the standing comes from another revision. The waker may then have ignored events of this
   * revision.
   */
  unproven: boolean;
};

/** Locks the rows of groups in a fixed order, and creates missing ones. */
export async function lockGroups(
  db: Sql,
  ruleId: string,
  groupKeys: readonly string[],
): Promise<Map<string, LastStanding>> {
  await sql`
    insert into rule_groups (rule_id, group_key)
    select ${ruleId}::uuid, k from unnest(${groupKeys}::text[]) k order by k on conflict do nothing`.execute(
    db,
  );
  const { rows } = await sql<LastStanding & { group_key: string }>`
    select group_key, state, since::float8 as since, next_due::float8 as next_due,
      deferred_from::float8 as deferred_from, deferred_late, unproven
    from rule_groups
    where rule_id = ${ruleId} and group_key = any(${groupKeys}::text[]) order by group_key for update`.execute(
    db,
  );
  return new Map(rows.map(({ group_key, ...group }) => [group_key, group]));
}

/**
 * Reads counts by bucket for each group's page: from `from` to before `to`, which may be infinite. Epoch ms.
 */
export async function bucketCounts(
  db: Sql,
  version: Version,
  pages: readonly { group_key: string; from: number; to: number }[],
): Promise<Map<string, Map<number, number>>> {
  const counts = new Map(pages.map(({ group_key }) => [group_key, new Map<number, number>()]));
  const earliest = Math.min(...pages.map(({ from }) => from));
  const latest = Math.max(...pages.map(({ to }) => to));
  // JSON writes infinity as null.
  const before = Number.isFinite(latest) ? sql`and c.bucket < ${latest}::bigint` : sql``;
  const { rows } = await sql<{ group_key: string; bucket: number; n: number }>`
    select c.group_key, c.bucket::float8 as bucket, sum(c.n)::int as n
    from jsonb_to_recordset(${JSON.stringify(pages)}::jsonb) as g(group_key text, "from" float8, "to" float8)
    join window_counts c on c.group_key = g.group_key and c.bucket >= g."from" and c.bucket < coalesce(g."to", 'infinity')
    where c.rule_id = ${version.rule_id} and c.revision = ${layersOf(version)} and c.bucket >= ${Math.floor(earliest)}::bigint ${before}
    group by c.group_key, c.bucket`.execute(db);
  for (const { group_key, bucket, n } of rows) counts.get(group_key)!.set(bucket, n);
  return counts;
}

/**
 * The payload column, or an empty payload for rules that never look into payloads, which saves reading it.
 */
export function payloadOf({ match, group_by }: RuleDefinition) {
  const fields = [...match.map(({ field }) => field), ...group_by];
  return fields.some((field) => field.startsWith('payload')) ? sql`payload` : sql`'{}'::jsonb as payload`;
}

/**
 * Reads the events in any of the ranges [from, to) that the revision may have counted: those that the
 * backfill saw, and those that came later but in time, and before its successor. SQL only narrows them down;
 * the caller's matcher decides. The inner query is separate (`offset 0`), so that each range reads only its
 * own partitions; as a join, all partitions are read.
 * @param groups events of these groups are wanted; others are mostly left out
 * @param newest at most this many of each range, the newest first; without it all, in no order
 * @param at only events at these instants, epoch ms, which the index finds one by one
 */
export async function countedEvents(
  db: Sql,
  { definition, snapshot, until_snapshot, counted_from }: Version,
  ranges: readonly { from: number; to: number }[],
  { groups, newest, at }: { groups?: readonly string[]; newest?: number; at?: readonly number[] } = {},
): Promise<Event[]> {
  const { event_type, severity, allowed_lateness_seconds } = definition;
  const { rows } = await sql<Event>`
    select e.* from jsonb_to_recordset(${JSON.stringify(ranges)}::jsonb) as r("from" float8, "to" float8)
    cross join lateral (
      select event_id, ${ms('occurred_at')} as occurred_at, source_id, severity, event_type,
        ${payloadOf(definition)}
      from events
      where events.occurred_at >= to_timestamp(r."from" / 1000) and events.occurred_at < to_timestamp(r."to" / 1000)
        ${at === undefined ? sql`` : sql`and events.occurred_at = any(array(select to_timestamp(t / 1000) from unnest(${at}::float8[]) t))`}
        ${event_type === null ? sql`` : sql`and event_type = ${event_type}`}
        ${severity === null ? sql`` : sql`and severity = ${severity}`}
        ${sql.join((groups ? textsOfGroups(definition.group_by, groups) : []).map(hasText), sql` `)}
        and case when pg_visible_in_snapshot(xid, ${snapshot}::pg_snapshot)
          then events.occurred_at >= ${instant(counted_from)}
          else received_at - events.occurred_at <= ${allowed_lateness_seconds} * interval '1 second' end
        ${until_snapshot === null ? sql`` : sql`and pg_visible_in_snapshot(xid, ${until_snapshot}::pg_snapshot)`}
      ${newest === undefined ? sql`offset 0` : sql`order by events.occurred_at desc limit ${newest}`}
    ) e`.execute(db);
  return rows;
}

function hasText({ path: [first, ...rest], texts }: FieldTexts) {
  const found = first === 'payload' ? sql`payload #>> ${rest}::text[]` : sql.ref(first!);
  return sql`and ${found} = any(${texts}::text[])`;
}

/** Stores the standings of groups. Epoch milliseconds. */
export async function updateGroups(
  db: Sql,
  ruleId: string,
  groups: readonly ({ group_key: string } & GroupStanding)[],
): Promise<void> {
  await sql`
    update rule_groups g set state = x.state, since = x.since, next_due = x.next_due,
      deferred_from = x.deferred_from, deferred_late = x.deferred_late, unproven = false
    from jsonb_to_recordset(${JSON.stringify(groups)}::jsonb)
      as x(group_key text, state text, since bigint, next_due bigint, deferred_from bigint, deferred_late boolean)
    where g.rule_id = ${ruleId} and g.group_key = x.group_key`.execute(db);
}

export async function readWatermark(db: Sql): Promise<number> {
  const { rows } = await sql<{ value: number }>`select value::float8 as value from watermark`.execute(db);
  return rows[0]!.value;
}
