import { sql } from 'kysely';
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
 * Finds the groups whose counts could fill a window that ends when the revision came into force, or later.
 * The sum of the buckets is an upper bound for each of these windows, so no other group can fire because of
 * events counted before.
 */
export async function groupsInReach(
  db: Sql,
  version: Version,
  groupKeys: readonly string[],
): Promise<GroupInReach[]> {
  const { windowMs, bucketMs, threshold } = windowSpecOf(version.definition);
  const from = Math.floor(version.effective_at - windowMs - bucketMs);
  const { rows } = await sql<GroupInReach>`
    select k as group_key, (c.last + ${bucketMs} - 1)::float8 as last
    from unnest(${groupKeys}::text[]) k cross join lateral (
      select sum(n) as n, max(bucket) as last from window_counts c
      where c.rule_id = ${version.rule_id} and c.revision = ${layersOf(version)} and c.group_key = k
        and c.bucket >= ${from}::bigint offset 0
    ) c where c.n >= ${threshold}`.execute(db);
  return rows;
}
