import type { SqlEntityManager } from '@mikro-orm/postgresql';
import { v5 as uuidv5 } from 'uuid';
import { IncidentEntity, NoticeEntity, TimelineEntity } from '../../db/entities/incident.ts';
import type { Sql } from '../../db/orm.ts';
import { countedEvents, type GroupIncident, type RuleWords, type Version } from '../../db/queries/judging.ts';
import { groupLabels, OVERFLOW_GROUP } from '../../domain/group.ts';
import type { IncidentChange } from '../../domain/incident.ts';
import type { NoticeKind } from '../../domain/notice.ts';
import { worse } from '../../domain/severity.ts';
import { compileRule } from '../../ingest/rule-set.ts';

/** Namespace of the ids derived here (UUIDv5). Never changes: it is what keeps an incident from opening twice. */
const NAMESPACE = '5f0c1c51-7c1b-4a55-9d0e-6f6a4c1c9a61';

export const incidentId = (ruleId: string, groupKey: string, episode: number) =>
  uuidv5(`${ruleId}/${groupKey}/${episode}`, NAMESPACE);
const noticeId = (incident: string, kind: string, n: number) => uuidv5(`${incident}/${kind}/${n}`, NAMESPACE);

export interface Recording {
  version: Version;
  words: RuleWords;
  groupKey: string;
  changes: readonly IncidentChange[];
  onRecord: readonly GroupIncident[];
  /** Incidents that people were told of. */
  told: ReadonlySet<string>;
  lastEpisode: number;
  /** Events in the window when an episode opened, by its opened_at. */
  observed: ReadonlyMap<number, number>;
  isLate: (since: number) => boolean;
  now: number;
}

/** Writes changes of incidents, each with its timeline entry and the notice that people get of it. Returns the incidents touched. */
export async function record(em: SqlEntityManager, db: Sql, recording: Recording): Promise<string[]> {
  let episode = recording.lastEpisode;
  const touched: string[] = [];
  for (const change of recording.changes) {
    if (change.kind === 'open') {
      episode++;
      touched.push(await open(em, db, recording, change, episode));
    } else {
      await amend(em, recording, change);
      touched.push(change.id);
    }
  }
  return touched;
}

async function open(
  em: SqlEntityManager,
  db: Sql,
  { version, words, groupKey, observed, isLate, now }: Recording,
  { episode: { since, opened_at, ended_at } }: Extract<IncidentChange, { kind: 'open' }>,
  episode: number,
): Promise<string> {
  const { definition } = version;
  const id = incidentId(version.rule_id, groupKey, episode);
  const late = isLate(since);
  const windowMs = definition.condition.window_seconds * 1000;
  em.create(IncidentEntity, {
    id,
    ruleId: version.rule_id,
    groupKey,
    episode,
    revision: version.revision,
    ruleName: words.name,
    summary: `Rule ${words.name} triggered for ${definition.event_type ?? 'any event'}`,
    severity:
      words.incident_severity ??
      definition.severity ??
      (await worstSeverity(db, version, groupKey, opened_at, windowMs)),
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
    resolveReason: ended_at === null ? null : 'recovered',
    mergedInto: null,
    reopened: 0,
    groupLabels: groupLabels(definition.group_by, groupKey),
    labels: words.labels,
    annotations: words.annotations,
    metadata: metadataOf(version, observed, opened_at),
  });
  addEntry(em, id, opened_at, 'opened', {
    late,
    recorded_at: new Date(now).toISOString(),
    observed_count: observed.get(opened_at) ?? 0,
  });
  if (ended_at !== null) addEntry(em, id, ended_at, 'resolved', { reason: 'recovered' });
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
      const { since, opened_at, ended_at, reopen } = change;
      await update({ since: new Date(since), openedAt: new Date(opened_at), endedAt: date(ended_at) });
      // It opened earlier than events of before it had us believe: what was in the window then is another number.
      if (opened_at < before.opened_at) await update({ metadata: metadataOf(version, observed, opened_at) });
      if (reopen) {
        const reopened = before.reopened + 1;
        await update({ state: 'open', resolvedAt: null, resolveReason: null, reopened });
        addEntry(em, change.id, now, 'reopened', { resolved_at: date(before.ended_at)?.toISOString() });
        addNotice(em, change.id, 'reopened', reopened, now);
        return;
      }
      if (ended_at !== null && before.state === 'resolved' && before.resolved_by === null) {
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

/** The reference's {observed_count, window_seconds}: how many events were in the window when the incident opened. */
function metadataOf(version: Version, observed: ReadonlyMap<number, number>, openedAt: number) {
  return {
    observed_count: observed.get(openedAt) ?? 0,
    window_seconds: version.definition.condition.window_seconds,
  };
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

/** Has people told. `n` tells apart notices of one kind: how often the incident was reopened before. `now` in epoch ms. */
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

/** Events looked at for the worst severity: the newest of the window. */
const MOST_FOR_SEVERITY = 10_000;

/** The worst severity among the events that opened the incident, for rules that name none. */
async function worstSeverity(
  db: Sql,
  version: Version,
  groupKey: string,
  openedAt: number,
  windowMs: number,
): Promise<string> {
  const rule = compileRule(version);
  const window = { from: openedAt - windowMs, to: openedAt + 1 };
  const events = await countedEvents(db, version, [window], MOST_FOR_SEVERITY);
  return events
    .filter(
      (event) => rule.matches(event) && (groupKey === OVERFLOW_GROUP || rule.groupKey(event) === groupKey),
    )
    .reduce((worst, event) => worse(worst, event.severity), 'info');
}
