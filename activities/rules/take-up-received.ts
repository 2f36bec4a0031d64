import { type Orm, transaction } from '../../db/orm.ts';
import { admitGroups } from '../../db/queries/events/append.ts';
import { groupsAfter, moveToOverflow } from '../../db/queries/received-alerts/judging.ts';
import { markReady } from '../../db/queries/rules/backfill.ts';
import { keepVersion, type Version } from '../../db/queries/rules/judging.ts';
import { notePending } from '../../db/queries/rules/revisions.ts';
import { OVERFLOW_GROUP } from '../../domain/rules/group.ts';

/** Makes a new revision judge the active alerts. Alerts are not counted, so there is no backfill. */
export async function takeUpReceived(orm: Orm, version: Version): Promise<void> {
  const { rule_id, revision, definition, effective_at, groups_from } = version;
  const { max_groups } = definition;
  await transaction(orm, async (db) => {
    if (!(await keepVersion(db, version))) return;
    const groups = await groupsAfter(db, rule_id, effective_at);
    const keys = groups.map(({ group_key }) => group_key).filter((key) => key !== OVERFLOW_GROUP);
    const wanted = keys.map((group_key) => ({ rule_id, group_key, max_groups, groups_from }));
    const admitted = new Set((await admitGroups(db, wanted)).map(({ group_key }) => group_key));
    const refused = keys.filter((key) => !admitted.has(key));
    if (refused.length > 0) await moveToOverflow(db, rule_id, refused, OVERFLOW_GROUP);
    await notePending(db, rule_id, revision, await groupsAfter(db, rule_id, effective_at));
    await markReady(db, version);
  });
}
