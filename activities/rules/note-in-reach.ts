import { type Orm, type Sql, transaction } from '../../db/orm.ts';
import { groupsOf } from '../../db/queries/rules/backfill.ts';
import type { Version } from '../../db/queries/rules/judging.ts';
import { groupsInReach } from '../../db/queries/rules/layers.ts';
import { notePending } from '../../db/queries/rules/revisions.ts';
import { OVERFLOW_GROUP } from '../../domain/rules/group.ts';

/** How many groups one transaction looks at. Wakers note groups of other rules meanwhile. */
const AT_ONCE = 200;

/**
 * Notes for judging the groups that may fire because of events that earlier revisions counted. Those events
 * woke nobody for this revision.
 * @param hold begins each transaction; if it returns false, nothing more is noted
 */
export async function noteInReach(
  orm: Orm,
  version: Version,
  hold: (db: Sql) => Promise<boolean>,
  progress: () => void = () => {},
): Promise<void> {
  const { rule_id, revision, effective_at } = version;
  let after: string | null = null;
  do {
    const from: string | null = after;
    after = await transaction(orm, async (db) => {
      if (!(await hold(db))) return null;
      const page = await groupsOf(db, rule_id, from, AT_ONCE);
      const keys = from === null ? [OVERFLOW_GROUP, ...page] : page;
      const groups = (await groupsInReach(db, version, keys)).map(({ group_key, last }) => ({
        ...{ group_key, from_at: effective_at, to_at: Math.max(effective_at, last) },
      }));
      await notePending(db, rule_id, revision, groups);
      return page.length < AT_ONCE ? null : page.at(-1)!;
    });
    progress();
  } while (after !== null);
}
