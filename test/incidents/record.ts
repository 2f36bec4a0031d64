import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { DeliveryEntity, IncidentEntity, NoticeEntity, TimelineEntity } from '../../db/entities/incident.ts';
import { type Orm, transaction } from '../../db/orm.ts';
import { lockIncident } from '../../db/queries/incidents/on-record.ts';
import { writeTransitions } from '../../db/queries/incidents/write.ts';
import type { NoticeKind } from '../../domain/incidents/notice.ts';
import type { TimelineKind } from '../../domain/incidents/timeline.ts';
import { end, extend, type RecordedIncident, type Transition } from '../../domain/incidents/transitions.ts';
import { openDatabase } from '../support/stage/database.ts';
import { openStage } from '../support/stage/stage.ts';
import { waitFor } from '../support/wait-for.ts';

/** A database with what the judge writes, and queries for what became of it. */
export const record = () =>
  openStage(async (closing) => {
    const { url, orm } = await openDatabase(closing);
    return { url, ...recordIn(orm) };
  });

/** What the judge writes, and queries for what became of it. */
export function recordIn(orm: Orm) {
  const em = () => orm.em.fork();
  const change = (id: string, decide: (incident: RecordedIncident) => Transition) =>
    transaction(orm, async (db) => {
      const incident = (await lockIncident(db, id)) ?? assert.fail('there is no such incident');
      await writeTransitions(db, [decide(incident)]);
    });
  return {
    orm,
    /** Does what the judge does: stores an open incident with its notice. */
    open: (changes: Partial<ReturnType<typeof incidentRow>> = {}) =>
      transaction(orm, async (_db, manager) => {
        const incident = manager.create(IncidentEntity, { ...incidentRow(), ...changes });
        manager.create(NoticeEntity, notice(incident.id, 'opened'));
        manager.create(TimelineEntity, entry(incident.id, 'opened'));
        return incident.id;
      }),
    /** Does what the judge does when the rule stops firing. */
    recover: (id: string) =>
      change(id, (incident) =>
        end(incident, { ended_at: Date.now(), reason: 'recovered' }, { told: true, now: Date.now() }),
      ),
    /** Does what the judge does when late events reopen an incident. */
    reopen: (id: string) =>
      change(id, (incident) => {
        const goesOn = { ...incident, kind: 'extend' as const, ended_at: null, reopen: true };
        return extend(incident, goesOn, {}, { told: true, now: Date.now() });
      }),
    incident: (id: string) => em().findOneOrFail(IncidentEntity, id),
    notices: (id: string) => em().find(NoticeEntity, { incidentId: id }, { orderBy: { at: 'asc' } }),
    deliveries: (id: string) =>
      em().find(DeliveryEntity, { incidentId: id }, { orderBy: { at: 'asc', attempt: 'asc' } }),
    timeline: (id: string) => em().find(TimelineEntity, { incidentId: id }, { orderBy: { id: 'asc' } }),
    allDone: (id: string, count: number) =>
      waitFor(
        async () => {
          const notices = await em().find(NoticeEntity, { incidentId: id, done: true });
          return notices.length === count;
        },
        { what: `${count} notices to be done` },
      ),
  };
}

/** The row of an open incident, as the judge inserts it. */
export const incidentRow = () => ({
  id: randomUUID() as string,
  ruleId: randomUUID() as string,
  groupKey: '',
  episode: 1,
  revision: 1,
  ruleName: 'CPU too high',
  summary: 'Rule CPU too high triggered for cpu_spike',
  severity: 'critical',
  state: 'open' as 'open' | 'acknowledged' | 'resolved',
  since: new Date(Date.now() - 1000),
  openedAt: new Date(Date.now() - 1000),
  endedAt: null as Date | null,
  recordedAt: new Date(),
  resolvedAt: null as Date | null,
  groupLabels: {},
  labels: { team: 'core' },
  annotations: {},
  metadata: { observed_count: 5, window_seconds: 60 },
});

const notice = (incidentId: string, kind: NoticeKind) => ({
  ...{ id: randomUUID() as string, incidentId, kind },
  at: new Date(),
});

const entry = (incidentId: string, kind: TimelineKind) => ({
  ...{ incidentId, at: new Date(), kind, actor: 'rule', detail: {} },
});
