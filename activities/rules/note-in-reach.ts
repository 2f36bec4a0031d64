import { type Orm, type Sql, transaction } from '../../db/orm.ts';
import type { Version } from '../../db/queries/rules/judging.ts';
import { groupsInReach } from '../../db/queries/rules/layers.ts';
import { notePending } from '../../db/queries/rules/revisions.ts';

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
  let after: string | null = null;
  do {
    const from: string | null = after;
    after = await transaction(orm, async (db) => {
      if (!(await hold(db))) return null;
      const page = await groupsInReach(db, version, from, AT_ONCE);
      const groups = page.groups.map(({ group_key, last }) => ({
        ...{ group_key, from_at: version.effective_at, to_at: Math.max(version.effective_at, last) },
      }));
      await notePending(db, version.rule_id, version.revision, groups);
      return page.after;
    });
    progress();
  } while (after !== null);
}
