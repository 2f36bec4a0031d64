import type { Sql } from '../../db/orm.ts';
import { unacknowledgedIncident } from '../../db/queries/incidents/on-record.ts';
import { writeTransitions } from '../../db/queries/incidents/write.ts';
import { episodesOnRecord, overflowHolds } from '../../db/queries/received-alerts/judging.ts';
import type { ReceivedAlertRow } from '../../db/queries/received-alerts/writes.ts';
import { type GroupStanding, readWatermark, type Version } from '../../db/queries/rules/judging.ts';
import { act } from '../../domain/incidents/actions.ts';
import { judgeReceived, type ReceivedEpisode } from '../../domain/received-alerts/episodes.ts';
import type { Horizon, Standing } from '../../domain/rules/episodes.ts';
import { OVERFLOW_GROUP } from '../../domain/rules/group.ts';
import { lastOpened } from '../../domain/rules/walk.ts';
import { describeReceived } from './describe.ts';
import type { Reading } from './readings.ts';
import type { GroupToWeigh, Weighed } from './weigh.ts';

/** The received alerts of some groups, as judging needs them. */
interface ReceivedGroups {
  alerts: ReceivedAlertRow[];
  /**
   * The time from which on incidents of each group may change, epoch ms. No episode that is judged began
   * earlier.
   */
  since: Map<string, number>;
  /**
   * The standing of the overflow group if a single look shows that its episode continues; its alerts are then
   * not read.
   */
  goesOn: Standing | null;
}

/** Reads the stored alerts of the groups, from the time at which each group changed (epoch ms). */
export async function readReceived(
  db: Sql,
  version: Version,
  groups: readonly { key: string; from: number }[],
  standings: ReadonlyMap<string, GroupStanding>,
): Promise<Reading> {
  const received = await readGroups(db, version, groups, standings);
  let weighed: Map<string, WeighedAlerts> = new Map();
  return {
    since: received.since,
    async weigh(concerned, horizon) {
      weighed = weighReceived(version, concerned, received, horizon);
      return weighed;
    },
    async describe(which, { opened_at }) {
      const { episodes } = weighed.get(which.groupKey)!;
      return describeReceived(which, episodes.find((episode) => episode.opened_at === opened_at)!);
    },
    finish: () => acknowledgeReceived(db, version, received),
  };
}

async function readGroups(
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
 * Says whether the overflow group, which fires, continues to fire regardless of changes after `from` (epoch
 * ms). One alert that is active from then until after the watermark is enough. In a storm the group has
 * thousands of alerts, and each change causes judging, so reading all of them would be slow. The deadline is
 * the end of that alert, which is no later than the end of all.
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

/** The result of judging a group of received alerts. */
interface WeighedAlerts extends Weighed {
  episodes: (ReceivedEpisode<ReceivedAlertRow> & { observed: number })[];
}

/** Computes for each group when its alerts fired. */
function weighReceived(
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
 * Acknowledges open incidents whose alerts were acknowledged by their senders. Each once, so that what people
 * did afterwards stays. Returns these incidents.
 */
async function acknowledgeReceived(
  db: Sql,
  { rule_id }: Version,
  { alerts }: ReceivedGroups,
): Promise<string[]> {
  const ids: string[] = [];
  for (const { key, group_key, acknowledged_at, acknowledged_by, starts_at, ends_at } of alerts) {
    // An acknowledgement of one alert is not one of the overflow group, which has many.
    if (acknowledged_at === null || group_key !== key) continue;
    const incident = await unacknowledgedIncident(db, rule_id, key);
    // An open incident that began after this episode belongs to a later episode.
    if (!incident || incident.opened_at >= ends_at) continue;
    const request = `${key}/${starts_at}/acknowledged`;
    const actor = acknowledged_by ?? 'api';
    const asked = { action: 'acknowledge', incident_id: incident.id, request, actor } as const;
    await writeTransitions(db, [act(asked, acknowledged_at)]);
    ids.push(incident.id);
  }
  return ids;
}
