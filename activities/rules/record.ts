import type { SqlEntityManager } from '@mikro-orm/postgresql';
import { v5 as uuidv5 } from 'uuid';
import { IncidentEntity, NoticeEntity, TimelineEntity } from '../../db/entities/incident.ts';
import type { GroupIncident } from '../../db/queries/rules/judging.ts';
import type { IncidentChange } from '../../domain/incidents/incident.ts';
import type { NoticeKind } from '../../domain/incidents/notice.ts';
import type { Episode } from '../../domain/rules/transition.ts';
import { type Described, type Description, metadataOf } from './describe.ts';

/**
 * Namespace of the ids derived here (UUIDv5). Never changes: it is what keeps an incident from opening twice.
 */
const NAMESPACE = '5f0c1c51-7c1b-4a55-9d0e-6f6a4c1c9a61';

export const incidentId = (ruleId: string, groupKey: string, episode: number) =>
  uuidv5(`${ruleId}/${groupKey}/${episode}`, NAMESPACE);
const noticeId = (incident: string, kind: string, n: number) => uuidv5(`${incident}/${kind}/${n}`, NAMESPACE);

export interface Recording extends Described {
  changes: readonly IncidentChange[];
  onRecord: readonly GroupIncident[];
  /** Incidents that people were told of. */
  told: ReadonlySet<string>;
  lastEpisode: number;
  /** Events in the window, or alerts, when an episode opened, by its opened_at. */
  observed: ReadonlyMap<number, number>;
  describe: (episode: Episode) => Promise<Description>;
  isLate: (since: number) => boolean;
  now: number;
}

/**
 * Writes changes of incidents, each with its timeline entry and the notice that people get of it. Returns the
 * incidents touched.
 */
export async function record(em: SqlEntityManager, recording: Recording): Promise<string[]> {
  let episode = recording.lastEpisode;
  const touched: string[] = [];
  for (const change of recording.changes) {
    if (change.kind === 'open') {
      episode++;
      touched.push(await open(em, recording, change.episode, episode));
    } else {
      await amend(em, recording, change);
      touched.push(change.id);
    }
  }
  return touched;
}

async function open(
  em: SqlEntityManager,
  { version, words, groupKey, observed, describe, isLate, now }: Recording,
  found: Episode,
  episode: number,
): Promise<string> {
  const { since, opened_at, ended_at } = found;
  const id = incidentId(version.rule_id, groupKey, episode);
  const late = isLate(since);
  // The revision handed over while this group could not be judged: nobody judged whether it went on.
  const reason = version.handed_over && ended_at === version.superseded_at ? 'rule changed' : 'recovered';
  const metadata = metadataOf(version, observed.get(opened_at) ?? 0);
  em.create(IncidentEntity, {
    id,
    ruleId: version.rule_id,
    groupKey,
    episode,
    revision: version.revision,
    ruleName: words.name,
    ...(await describe(found)),
    state: ended_at === null ? 'open' : 'resolved',
    late,
    since: new Date(since),
    openedAt: new Date(opened_at),
    endedAt: date(ended_at),
    recordedAt: new Date(now),
    acknowledgedAt: null,
    acknowledgedBy: null,
    resolvedAt: date(ended_at),
    resolvedBy: null,
    resolveReason: ended_at === null ? null : reason,
    mergedInto: null,
    reopened: 0,
    metadata,
  });
  addEntry(em, id, opened_at, 'opened', {
    late,
    recorded_at: new Date(now).toISOString(),
    observed_count: metadata.observed_count,
  });
  if (ended_at !== null) addEntry(em, id, ended_at, 'resolved', { reason });
  if (!late || words.late === 'notify') {
    addNotice(em, id, 'opened', 0, now);
    if (ended_at !== null) addNotice(em, id, 'resolved', 0, now);
  }
  return id;
}

async function amend(
  em: SqlEntityManager,
  { version, onRecord, told, observed, now }: Recording,
  change: Exclude<IncidentChange, { kind: 'open' }>,
): Promise<void> {
  const before = onRecord.find(({ id }) => id === change.id)!;
  const update = (fields: object) => em.nativeUpdate(IncidentEntity, { id: change.id }, fields);
  switch (change.kind) {
    case 'end': {
      const reason =
        change.ended_at === version.effective_at && version.revision > 1 ? 'rule changed' : 'recovered';
      await update({ endedAt: new Date(change.ended_at) });
      if (before.state === 'resolved') addEntry(em, change.id, change.ended_at, 'recovered', {});
      else {
        await update({ state: 'resolved', resolvedAt: new Date(change.ended_at), resolveReason: reason });
        addEntry(em, change.id, change.ended_at, 'resolved', { reason });
        if (told.has(change.id)) addNotice(em, change.id, 'resolved', before.reopened, now);
      }
      return;
    }
    case 'extend': {
      const { since, opened_at, ended_at, reopen, resolved_as } = change;
      await update({ since: new Date(since), openedAt: new Date(opened_at), endedAt: date(ended_at) });
      // It opened earlier than events of before it had us believe: what was in the window then is another
      // number.
      if (opened_at < before.opened_at)
        await update({ metadata: metadataOf(version, observed.get(opened_at) ?? 0) });
      if (reopen) {
        const reopened = before.reopened + 1;
        await update({ state: 'open', resolvedAt: null, resolveReason: null, reopened });
        addEntry(em, change.id, now, 'reopened', { resolved_at: date(before.ended_at)?.toISOString() });
        addNotice(em, change.id, 'reopened', reopened, now);
        return;
      }
      if (resolved_as !== undefined) {
        const { resolvedAt, resolvedBy, resolveReason } = await em.findOneOrFail(IncidentEntity, resolved_as);
        await update({ resolvedAt, resolvedBy, resolveReason });
      } else if (ended_at !== null && before.state === 'resolved' && before.resolved_by === null) {
        await update({ resolvedAt: new Date(ended_at) });
      }
      addEntry(em, change.id, now, 'extended', {
        opened_at: new Date(opened_at).toISOString(),
        ended_at: date(ended_at)?.toISOString() ?? null,
      });
      return;
    }
    case 'merge': {
      await update({ mergedInto: change.into });
      if (before.state !== 'resolved') {
        await update({ state: 'resolved', resolvedAt: new Date(now), resolveReason: 'merged' });
        // Receivers know it by its own id: they must hear that it is over.
        if (told.has(change.id)) addNotice(em, change.id, 'resolved', before.reopened, now);
      }
      addEntry(em, change.id, now, 'merged', { into: change.into });
      addEntry(em, change.into, now, 'extended', { merged: change.id });
      return;
    }
  }
}

const date = (at: number | null) => (at === null ? null : new Date(at));

/** Puts something that the rule did on the incident's timeline. `at` in epoch ms. */
export function addEntry(
  em: SqlEntityManager,
  incident: string,
  at: number,
  kind: string,
  detail: Record<string, unknown>,
): void {
  em.create(TimelineEntity, { incidentId: incident, at: new Date(at), kind, actor: 'rule', detail });
}

/**
 * Has people told. `n` tells apart notices of one kind: how often the incident was reopened before. `now` in
 * epoch ms.
 */
export function addNotice(
  em: SqlEntityManager,
  incident: string,
  kind: NoticeKind,
  n: number,
  now: number,
): void {
  em.create(NoticeEntity, {
    id: noticeId(incident, kind, n),
    incidentId: incident,
    kind,
    at: new Date(now),
    done: false,
  });
}
