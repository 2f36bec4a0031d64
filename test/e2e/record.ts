import assert from 'node:assert/strict';
import type { NoticeDocument } from '../../domain/incidents/notice.ts';
import { type RuleDefinition, windowSpecOf } from '../../domain/rules/rule.ts';
import type { Received } from '../incidents/channels/receiver.ts';
import { modelEpisodes } from '../support/model.ts';
import type { System } from '../support/system.ts';
import { waitFor } from '../support/wait-for.ts';

export interface RecordedIncident {
  id: string;
  group_key: string;
  state: string;
  late: boolean;
  reopened: number;
  merged_into: string | null;
  since: number;
  opened_at: number;
  ended_at: number | null;
  metadata: { observed_count: number; window_seconds: number };
}

const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8 as ${column}`;

/** The incidents of a rule by group, in order of time. */
export async function incidentsOf(system: System, ruleId: string): Promise<RecordedIncident[]> {
  return system.query<RecordedIncident>(
    `select id, group_key, state, late, reopened, merged_into, metadata,
      ${ms('since')}, ${ms('opened_at')}, ${ms('ended_at')}
    from alert_incidents where rule_id = $1 order by group_key, alert_incidents.opened_at`,
    [ruleId],
  );
}

/** Waits until nothing is left to wake, judge, resolve or send. */
export async function settled(system: System, timeoutMs = 90_000): Promise<void> {
  await waitFor(
    async () => {
      const [left] = await system.query<Record<string, number>>(`select
        (select count(*)::int from wake_outbox) as wakes,
        (select count(*)::int from pending_evaluations) as evaluations,
        (select count(*)::int from rule_groups where state <> 'ok') as groups,
        (select count(*)::int from notices where not done) as notices`);
      const some = Object.entries(left!).filter(([, count]) => count > 0);
      if (some.length > 0) throw new Error(`left: ${JSON.stringify(left)}`);
      return true;
    },
    { what: 'everything to come to rest', timeoutMs, everyMs: 100 },
  );
}

/** Checks that every sequence number of a producer is stored once. Resolves to how many there are. */
export async function assertGapless(system: System, sourceId: string, nextSequence: number): Promise<number> {
  const [stored] = await system.query<{ n: number; different: number; least: number; most: number }>(
    `select count(*)::int as n, count(distinct payload ->> 'sequence')::int as different,
      min((payload ->> 'sequence')::int) as least, max((payload ->> 'sequence')::int) as most
    from events where source_id = $1`,
    [sourceId],
  );
  const complete = { n: nextSequence, different: nextSequence, least: 0, most: nextSequence - 1 };
  assert.deepEqual({ ...stored }, complete, `events of ${sourceId}`);
  return nextSequence;
}

/**
 * Checks that a rule's incidents are those that follow from its stored events, judged one by one: none is
 * missing, duplicated, merged or reopened. Resolves to how many there are.
 */
export async function assertExact(system: System, ruleId: string): Promise<number> {
  const [rule] = await system.query<{ definition: RuleDefinition }>(
    'select definition from alert_rules where id = $1',
    [ruleId],
  );
  const { definition } = rule!;
  const events = await system.query<{ source_id: string; at: number }>(
    `select source_id, (extract(epoch from occurred_at) * 1000)::float8 as at from events
    where event_type = $1 and ($2::text is null or severity = $2) order by occurred_at`,
    [definition.event_type, definition.severity],
  );
  const grouped = Map.groupBy(events, ({ source_id }) =>
    definition.group_by.length > 0 ? JSON.stringify([source_id]) : '',
  );
  const always = { openUpTo: Number.POSITIVE_INFINITY, endUpTo: Number.POSITIVE_INFINITY };
  const expected = [...grouped].flatMap(([group_key, members]) => {
    const times = members.map(({ at }) => at);
    const start = { at: times[0]!, firing: null };
    return modelEpisodes(times, windowSpecOf(definition), start, always).map((e) => ({ group_key, ...e }));
  });
  const recorded = await incidentsOf(system, ruleId);
  const byGroup = (a: { group_key: string }, b: { group_key: string }) =>
    a.group_key < b.group_key ? -1 : 1;
  assert.deepEqual(
    recorded.map(({ group_key, since, opened_at, ended_at }) => ({ group_key, since, opened_at, ended_at })),
    expected.sort((a, b) => (a.group_key === b.group_key ? a.opened_at - b.opened_at : byGroup(a, b))),
  );
  for (const { id, state, reopened, merged_into } of recorded) {
    assert.deepEqual(
      { state, reopened, merged_into },
      { state: 'resolved', reopened: 0, merged_into: null },
      id,
    );
  }
  return recorded.length;
}

/** The message ids that a webhook received, with repetitions, by incident and kind of notice. */
export function messagesByNotice(received: readonly Received[]): Map<string, string[]> {
  const messages = Map.groupBy(received, ({ body }) => {
    const { kind, incident } = JSON.parse(body) as NoticeDocument;
    return `${kind} ${incident.id}`;
  });
  return new Map(
    [...messages].map(([key, list]) => [key, list.map((one) => String(one.headers['webhook-id']))]),
  );
}
