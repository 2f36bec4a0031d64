import { LockMode } from '@mikro-orm/core';
import { IncidentEntity, NoticeEntity, TimelineEntity } from '../../db/entities/incident.ts';
import { type Orm, sqlOf, transaction } from '../../db/orm.ts';
import { announced, holdVersion, type RuleWords, type Version } from '../../db/queries/judging.ts';
import {
  busyGroups,
  closeRevision,
  forgetGroups,
  notePending,
  outboxIds,
  removeRule,
  resetGroups,
  youngestOutboxId,
} from '../../db/queries/revisions.ts';
import { takeOutbox } from '../../db/queries/wake.ts';
import { judgePending, type Pass } from './judge.ts';
import { noticeId } from './record.ts';

/**
 * Judges a superseded revision for the last time, up to the instant its successor came into force, and hands its open
 * incidents over: to the successor where that still counts the same groups, or to the end.
 * @returns incidents that changed, and rules that were found to have been touched: both must hear of it
 */
export async function settle(
  orm: Orm,
  version: Version,
  next: Version | null,
  words: RuleWords,
  now: number,
): Promise<{ incidents: string[]; rules: string[] }> {
  const until = version.superseded_at!;
  const incidents = new Set<string>();
  const woken = new Set<string>();
  if (version.enabled) {
    for (const id of await drainOutbox(orm)) woken.add(id);
    await transaction(orm, async (db) => {
      if (!(await holdVersion(db, version))) return;
      const due = (await busyGroups(db, version.rule_id)).filter(({ next_due }) => next_due <= until);
      await notePending(
        db,
        version.rule_id,
        version.revision,
        due.map(({ group_key, state, since, next_due }) => ({
          group_key,
          from_at: state === 'pending' ? Math.min(since, next_due) : next_due,
          to_at: next_due,
        })),
      );
    });
    let pass: Pass;
    do {
      pass = await judgePending(orm, version, words, now);
      for (const id of pass.incidents) incidents.add(id);
    } while (pass.judged > 0);
  }
  for (const id of await handOver(orm, version, next, words, now)) incidents.add(id);
  return { incidents: [...incidents], rules: [...woken].filter((id) => id !== version.rule_id) };
}

/**
 * Every outbox row of before now becomes pending evaluations, also those a waker has in hand.
 * @returns rules to be signalled for it
 */
async function drainOutbox(orm: Orm): Promise<string[]> {
  const upTo = await youngestOutboxId(sqlOf(orm));
  if (upTo === null) return [];
  const woken: string[] = [];
  while (true) {
    const ids = await transaction(orm, (db) => outboxIds(db, upTo));
    if (ids.length === 0) return woken;
    woken.push(...(await takeOutbox(sqlOf(orm), ids)));
  }
}

async function handOver(
  orm: Orm,
  version: Version,
  next: Version | null,
  words: RuleWords,
  now: number,
): Promise<string[]> {
  return transaction(orm, async (db, em) => {
    if (!(await holdVersion(db, version))) return [];
    const at = version.superseded_at!;
    const open = await em.find(
      IncidentEntity,
      { ruleId: version.rule_id, endedAt: null, mergedInto: null },
      { lockMode: LockMode.PESSIMISTIC_WRITE, orderBy: { openedAt: 'asc' } },
    );
    const sameGroups =
      next?.enabled === true &&
      JSON.stringify(next.definition.group_by) === JSON.stringify(version.definition.group_by);
    const busy = await busyGroups(db, version.rule_id);
    if (sameGroups) {
      for (const incident of open) incident.revision = next.revision;
    } else {
      const reason = words.deleted ? 'rule deleted' : next?.enabled ? 'rule changed' : 'rule disabled';
      const told = await announced(
        db,
        open.map(({ id }) => id),
      );
      for (const incident of open) {
        incident.endedAt = new Date(at);
        if (incident.state === 'resolved') continue;
        incident.state = 'resolved';
        incident.resolvedAt = new Date(at);
        incident.resolveReason = reason;
        em.create(TimelineEntity, {
          incidentId: incident.id,
          at: new Date(at),
          kind: 'resolved',
          actor: 'rule',
          detail: { reason },
        });
        if (!told.has(incident.id)) continue;
        em.create(NoticeEntity, {
          id: noticeId(incident.id, 'resolved', incident.reopened),
          incidentId: incident.id,
          kind: 'resolved',
          at: new Date(now),
          done: false,
        });
      }
    }
    await em.flush();
    await closeRevision(db, version);
    await resetGroups(db, version.rule_id);
    if (!sameGroups && next) await forgetGroups(db, version.rule_id, next.revision);
    if (next?.enabled) {
      const groups = new Set([
        ...busy.map(({ group_key }) => group_key),
        ...open.map(({ groupKey }) => groupKey),
      ]);
      await notePending(
        db,
        version.rule_id,
        next.revision,
        [...groups].map((group_key) => ({ group_key, from_at: at, to_at: at })),
      );
    }
    return sameGroups ? [] : open.map(({ id }) => id);
  });
}

/** Removes a deleted rule once its last revision is settled. */
export async function removeDeleted(orm: Orm, ruleId: string): Promise<void> {
  await transaction(orm, (db) => removeRule(db, ruleId));
}
