import { LockMode } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import { v5 as uuidv5 } from 'uuid';
import { type Incident, IncidentEntity, NoticeEntity, TimelineEntity } from '../../entities/incident.ts';
import { type Orm, type Sql, transaction } from '../../orm.ts';
import { endPagedAlerts, holdPagedAlerts } from '../received-alerts/writes.ts';

/** What a person asked for. `request` names the asking itself: asked twice, it is done once. */
export interface PersonsRequest {
  incident_id: string;
  request: string;
  actor: string;
}

/** What became of it: `conflict` says in a sentence which state stood against it. */
export type WriteOutcome = { done: true } | { done: false; gone: boolean; conflict: string };

const DONE: WriteOutcome = { done: true };

/** Moves an open incident to acknowledged, with its timeline entry. `at` in epoch milliseconds. */
export function acknowledgeIncidentRow(orm: Orm, request: PersonsRequest & { comment?: string }, at: number) {
  return write(orm, request, 'acknowledged', (incident, em) => {
    if (incident.state !== 'open') return conflictOf(incident);
    acknowledge(incident, em, request, at);
    return DONE;
  });
}

/**
 * Acknowledges an incident that is open and locked. To be called in a transaction. `at` in epoch
 * milliseconds.
 */
export function acknowledge(
  incident: Incident,
  em: SqlEntityManager,
  request: PersonsRequest & { comment?: string },
  at: number,
): void {
  incident.state = 'acknowledged';
  incident.acknowledgedAt = new Date(at);
  incident.acknowledgedBy = request.actor;
  addEntry(em, request, 'acknowledged', at, { comment: request.comment });
}

/**
 * Resolves an incident by hand, with timeline entry and notice. `ended_at` stays as it is: the episode goes
 * on until the rule says that it ended. PagerDuty's alerts are over by it.
 */
export function resolveIncidentRow(orm: Orm, request: PersonsRequest & { comment?: string }, at: number) {
  return write(orm, request, 'resolved', async (incident, em, db) => {
    if (incident.state === 'resolved') return conflictOf(incident);
    await endPagedAlerts(db, { rule_id: incident.ruleId, group_key: incident.groupKey }, at);
    incident.state = 'resolved';
    incident.resolvedAt = new Date(at);
    incident.resolvedBy = request.actor;
    incident.resolveReason = 'manual';
    addEntry(em, request, 'resolved', at, { reason: 'manual', comment: request.comment });
    em.create(NoticeEntity, {
      id: uuidv5(`resolved/${request.request}`, incident.id),
      incidentId: incident.id,
      kind: 'resolved',
      at: new Date(at),
    });
    return DONE;
  });
}

/** Adds a comment, whatever the incident's state. */
export function commentIncidentRow(orm: Orm, request: PersonsRequest & { text: string }, at: number) {
  return write(orm, request, 'comment', (_incident, em) => {
    addEntry(em, request, 'comment', at, { text: request.text });
    return DONE;
  });
}

/**
 * Adds what became of a notice on a channel to the timeline, once. To be called in a transaction; the lock on
 * the incident makes two callers take turns. False when it was there, or the incident is gone.
 */
export async function addNoticeEntry(
  db: Sql,
  incidentId: string,
  kind: 'notice_sent' | 'notice_failed' | 'notified_nobody',
  detail: { notice_id: string; channel?: string } & Record<string, unknown>,
  at: number,
): Promise<boolean> {
  const { rows } = await sql`select from alert_incidents where id = ${incidentId} for update`.execute(db);
  if (rows.length === 0) return false;
  const { numAffectedRows } = await sql`
    insert into incident_timeline (incident_id, at, kind, actor, detail)
    select ${incidentId}, ${new Date(at)}, ${kind}, 'tocsin', ${JSON.stringify(detail)}::jsonb
    where not exists (
      select from incident_timeline where incident_id = ${incidentId}
        and kind in ('notice_sent', 'notice_failed', 'notified_nobody')
        and detail ->> 'notice_id' = ${detail.notice_id}
        and detail ->> 'channel' is not distinct from ${detail.channel ?? null}::text
    )`.execute(db);
  return (numAffectedRows ?? 0n) > 0n;
}

function write(
  orm: Orm,
  { incident_id, request }: PersonsRequest,
  kind: string,
  change: (incident: Incident, em: SqlEntityManager, db: Sql) => WriteOutcome | Promise<WriteOutcome>,
): Promise<WriteOutcome> {
  return transaction(orm, async (db, em) => {
    if (kind === 'resolved') await holdPagedAlerts(db, incident_id);
    const incident = await em.findOne(IncidentEntity, incident_id, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!incident) return { done: false, gone: true, conflict: 'there is no such incident' };
    // A worker that died after its commit is asked again: that request is done, not in conflict with itself.
    const { rows } = await sql`
      select from incident_timeline where incident_id = ${incident_id} and kind = ${kind}
        and detail ->> 'request' = ${request}`.execute(db);
    return rows.length > 0 ? DONE : change(incident, em, db);
  });
}

function conflictOf({ state }: Incident): WriteOutcome {
  return {
    done: false,
    gone: false,
    conflict: state === 'resolved' ? 'incident is resolved' : 'incident is already acknowledged',
  };
}

function addEntry(
  em: SqlEntityManager,
  { incident_id, request, actor }: PersonsRequest,
  kind: string,
  at: number,
  detail: Record<string, string | undefined>,
): void {
  em.create(TimelineEntity, {
    incidentId: incident_id,
    at: new Date(at),
    kind,
    actor,
    detail: { ...JSON.parse(JSON.stringify(detail)), request },
  });
}
