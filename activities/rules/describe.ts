import type { Sql } from '../../db/orm.ts';
import type { ReceivedAlertRow } from '../../db/queries/received-alerts/writes.ts';
import { countedEvents, type RuleWords, type Version } from '../../db/queries/rules/judging.ts';
import type { Event } from '../../domain/events/event.ts';
import { worse } from '../../domain/events/severity.ts';
import type { IncidentWords } from '../../domain/incidents/transitions.ts';
import type { ReceivedEpisode } from '../../domain/received-alerts/episodes.ts';
import { PROTOCOLS } from '../../domain/received-alerts/protocols.ts';
import { incidentWords } from '../../domain/received-alerts/words.ts';
import { compileRule } from '../../domain/rules/compile.ts';
import type { Episode } from '../../domain/rules/episodes.ts';
import { groupLabels, groupLabelsOf, isCutKey, OVERFLOW_GROUP } from '../../domain/rules/group.ts';
import { received } from '../../domain/rules/kinds/received.ts';
import { shortFormOf, windowSpecOf } from '../../domain/rules/rule.ts';
import { newestTimes } from './exact-times.ts';

/** The rule and the group of an incident. */
export interface Described {
  version: Version;
  words: RuleWords;
  groupKey: string;
}

/**
 * Makes {observed_count, window_seconds}, as in the reference: how many events were in the window when the
 * incident opened, or how many alerts.
 */
export function metadataOf({ definition }: Version, observed: number): Record<string, number> {
  return { observed_count: observed, window_seconds: shortFormOf(definition).window_seconds };
}

/** Makes the texts of an incident of a rule that counts. */
export async function describeCounted(
  db: Sql,
  { version, words, groupKey }: Described,
  { opened_at }: Episode,
): Promise<IncidentWords> {
  const { definition } = version;
  return {
    summary: `Rule ${words.name} triggered for ${definition.event_type ?? 'any event'}`,
    severity:
      words.incident_severity ??
      definition.severity ??
      (await worstSeverity(db, version, groupKey, opened_at)),
    group_labels: await labelsOf(db, version, groupKey, opened_at),
    labels: words.labels,
    annotations: words.annotations,
  };
}

/** If a key was cut, the values come from any event that opened the incident. */
async function labelsOf(
  db: Sql,
  version: Version,
  groupKey: string,
  openedAt: number,
): Promise<Record<string, string>> {
  const { group_by } = version.definition;
  const [event] = isCutKey(groupKey) ? await openingEvents(db, version, groupKey, openedAt) : [];
  return event ? groupLabelsOf(group_by, event) : groupLabels(group_by, groupKey);
}

/**
 * Makes the texts of an incident of received alerts: those of the alert. The overflow group's text says how
 * many alerts there are.
 */
export function describeReceived(
  { version, words, groupKey }: Described,
  { alerts }: ReceivedEpisode<ReceivedAlertRow>,
): IncidentWords {
  const { condition, group_by, max_groups } = version.definition;
  const [first, ...rest] = alerts;
  if (groupKey === OVERFLOW_GROUP || first === undefined) {
    return {
      summary: `More than ${max_groups} alerts are active; this incident stands for ${alerts.length} more`,
      severity:
        words.incident_severity ??
        rest.reduce((worst, a) => worse(worst, a.severity), first?.severity ?? 'info'),
      group_labels: groupLabels(group_by, groupKey),
      labels: words.labels,
      annotations: words.annotations,
    };
  }
  const { protocol } = received.schema.parse(condition);
  return { ...incidentWords(first, words), group_labels: PROTOCOLS[protocol].keyLabels(groupKey) };
}

/** How many events of the window are read, the newest first. */
const MOST_LOOKED_AT = 10_000;

/** The worst severity among the events that opened the incident, for rules without a severity. */
async function worstSeverity(db: Sql, version: Version, groupKey: string, openedAt: number): Promise<string> {
  const events = await openingEvents(db, version, groupKey, openedAt);
  return events.reduce((worst, event) => worse(worst, event.severity), 'info');
}

/** The events that the rule counted when the incident opened. */
async function openingEvents(
  db: Sql,
  version: Version,
  groupKey: string,
  openedAt: number,
): Promise<Event[]> {
  const rule = compileRule(version.definition);
  const windowMs = windowSpecOf(version.definition).windowMs;
  const window = { from: openedAt - windowMs, to: openedAt + 1 };
  // If exact times are kept for the group, no events of other groups are read.
  const most = MOST_LOOKED_AT;
  const at = await newestTimes(db, version, groupKey, { from: openedAt - windowMs, to: openedAt, most });
  const events = await countedEvents(db, version, [window], {
    newest: MOST_LOOKED_AT,
    groups: [groupKey],
    ...(at && { at }),
  });
  return events.filter(
    (event) => rule.matches(event) && (groupKey === OVERFLOW_GROUP || rule.groupKey(event) === groupKey),
  );
}
