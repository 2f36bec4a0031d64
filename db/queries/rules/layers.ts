import { sql } from 'kysely';
import { OVERFLOW_GROUP } from '../../../domain/rules/group.ts';
import { windowSpecOf } from '../../../domain/rules/rule.ts';
import type { Sql } from '../../orm.ts';
import type { Version } from './judging.ts';

type Layered = Pick<Version, 'first_layer' | 'revision'>;

/** The layers of counts that a revision reads. */
export const layerNumbers = ({ first_layer, revision }: Layered): number[] =>
  Array.from({ length: revision - first_layer + 1 }, (_, i) => first_layer + i);

/** The right side of `revision =` for rows of counts. PostgreSQL looks up each layer in an index. */
export const layersOf = (version: Layered) =>
  version.first_layer === version.revision
    ? sql`${version.revision}`
    : sql`any(${layerNumbers(version)}::int[])`;

/** The same for the row `v` of `rule_versions`. */
export const LAYERS_OF_V = sql`any(array(
  select generate_series(coalesce(v.first_layer, v.revision), v.revision)))`;

/** Says whether a revision continues with the counts of an earlier one. */
export const sharesCounts = (earlier: Layered, { first_layer }: Layered) => first_layer <= earlier.revision;

/** A group with enough events for a window, and the latest time at which that may be; epoch ms. */
export interface GroupInReach {
  group_key: string;
  last: number;
}

/**
 * Reads the next groups of a revision, in order, and returns those whose counts could fill a window that ends
 * when the revision came into force, or later. The sum of the buckets is an upper bound for each of these
 * windows, so no other group can fire because of events counted before.
 * @returns `after`: the last group that was read; null at the end
 */
export async function groupsInReach(
  db: Sql,
  version: Version,
  after: string | null,
  limit: number,
): Promise<{ groups: GroupInReach[]; after: string | null }> {
  const { rule_id, effective_at, definition } = version;
  const { windowMs, bucketMs, threshold } = windowSpecOf(definition);
  const from = Math.floor(effective_at - windowMs - bucketMs);
  const { rows } = await sql<{ group_key: string; n: number; last: number }>`
    select known.group_key, c.n::float8 as n, c.last::float8 as last from (
      select group_key from (
        select group_key from rule_groups where rule_id = ${rule_id} union select ${OVERFLOW_GROUP}
      ) all_groups ${after === null ? sql`` : sql`where group_key > ${after}`}
      order by group_key limit ${limit}
    ) known cross join lateral (
      select coalesce(sum(n), 0) as n, coalesce(max(bucket), 0) as last from window_counts c
      where c.rule_id = ${rule_id} and c.revision = ${layersOf(version)} and c.group_key = known.group_key
        and c.bucket >= ${from}::bigint offset 0
    ) c order by known.group_key`.execute(db);
  const groups = rows
    .filter(({ n }) => n >= threshold)
    .map(({ group_key, last }) => ({ group_key, last: last + bucketMs - 1 }));
  return { groups, after: rows.length < limit ? null : rows.at(-1)!.group_key };
}
