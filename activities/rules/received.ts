import type { Sql } from '../../db/orm.ts';
import { unacknowledgedIncident } from '../../db/queries/incidents/on-record.ts';
import { writeTransitions } from '../../db/queries/incidents/write.ts';
import { episodesOnRecord, overflowHolds } from '../../db/queries/received-alerts/judging.ts';
import type { ReceivedAlertRow } from '../../db/queries/received-alerts/writes.ts';
import { type GroupStanding, readWatermark, type Version } from '../../db/queries/rules/judging.ts';
import { act } from '../../domain/incidents/actions.ts';
import { judgeReceived, type ReceivedEpisode } from '../../domain/received-alerts/episodes.ts';
import { OVERFLOW_GROUP } from '../../domain/rules/group.ts';
import type { Horizon, Standing } from '../../domain/rules/transition.ts';
import { lastOpened } from '../../domain/rules/walk.ts';
import type { GroupToWeigh, Weighed } from './weigh.ts';

/** Received alerts of some groups, as judging needs them. */
export interface ReceivedGroups {
  alerts: ReceivedAlertRow[];
  /**
   * From when on a group's incidents may be concerned, epoch ms: nothing of it that is judged began earlier.
   */
  since: Map<string, number>;
  /** Where the overflow group stands, if one look told that its episode goes on: its alerts weren't read. */
  goesOn: Standing | null;
}

/** Reads what is on record of the groups' alerts, from where each changed on (epoch ms). */
export async function readReceived(
  db: Sql,
  version: Version,
  groups: readonly { key: string; from: number }[],
  standings: ReadonlyMap<string, GroupStanding>,
): Promise<ReceivedGroups> {
  const overflow = groups.find(({ key }) => key === OVERFLOW_GROUP);
  const goesOn = overflow ? await overflowGoesOn(db, version, overflow.from, standings) : null;
  const alerts = await episodesOnRecord(
    db,
    version.rule_id,
    groups
      .filter(({ key }) => key !== OVERFLOW_GROUP || !goesOn)
      .map(({ key, from }) => ({ group_key: key, from })),
  );
  const since = new Map(groups.map(({ key, from }) => [key, from]));
  for (const { group_key, starts_at } of alerts) {
    since.set(group_key, Math.min(since.get(group_key)!, starts_at));
  }
  return { alerts, since, goesOn };
}

/**
 * Whether the overflow group, which fires, goes on doing so whatever changed from `from` (epoch ms) on: one
 * alert that holds from there past the watermark is enough. In a storm it has thousands, and each that
 * comes or goes has the group judged. Its deadline is that alert's: no later than that of all of them.
 */
async function overflowGoesOn(
  db: Sql,
  { rule_id, superseded_at }: Version,
  from: number,
  standings: ReadonlyMap<string, GroupStanding>,
): Promise<Standing | null> {
  const { state, since, deferred_from } = standings.get(OVERFLOW_GROUP)!;
  if (state !== 'firing' || since === null || since > from) return null;
  if (superseded_at !== null || deferred_from !== null) return null;
  const holdsTo = await overflowHolds(db, rule_id, { from, watermark: await readWatermark(db) });
  return holdsTo === null ? null : { state, since, due: holdsTo };
}

/** What judging made of a group of received alerts. */
export interface WeighedAlerts extends Weighed {
  episodes: (ReceivedEpisode<ReceivedAlertRow> & { observed: number })[];
}

/** Works out, for each group, when its alerts fired. */
export function weighReceived(
  { revision, effective_at }: Version,
  groups: readonly Pick<GroupToWeigh, 'key' | 'incidents'>[],
  { alerts, goesOn }: ReceivedGroups,
  horizon: Horizon,
): Map<string, WeighedAlerts> {
  const mine = Map.groupBy(alerts, ({ group_key }) => group_key);
  const effectiveAt = revision === 1 ? null : effective_at;
  return new Map(
    groups.map(({ key, incidents }) => {
      if (key === OVERFLOW_GROUP && goesOn) return [key, { episodes: [], deferred: [], standing: goesOn }];
      const { episodes, ...judged } = judgeReceived(
        mine.get(key) ?? [],
        effectiveAt,
        horizon,
        lastOpened(incidents),
      );
      return [key, { ...judged, episodes: episodes.map((e) => ({ ...e, observed: e.alerts.length })) }];
    }),
  );
}

/**
 * Acknowledges open incidents whose alerts' senders did. Once: what a person did since stays. Returns the
 * incidents concerned.
 */
export async function acknowledgeReceived(
  db: Sql,
  { rule_id }: Version,
  { alerts }: ReceivedGroups,
): Promise<string[]> {
  const ids: string[] = [];
  for (const { key, group_key, acknowledged_at, acknowledged_by, starts_at, ends_at } of alerts) {
    // One of many alerts speaks for itself, not for the overflow group.
    if (acknowledged_at === null || group_key !== key) continue;
    const incident = await unacknowledgedIncident(db, rule_id, key);
    // An open one that began after this episode is that of a later one.
    if (!incident || incident.opened_at >= ends_at) continue;
    const request = `${key}/${starts_at}/acknowledged`;
    const actor = acknowledged_by ?? 'api';
    const asked = { action: 'acknowledge', incident_id: incident.id, request, actor } as const;
    await writeTransitions(db, [act(asked, acknowledged_at)]);
    ids.push(incident.id);
  }
  return ids;
}
