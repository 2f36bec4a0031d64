import assert from 'node:assert/strict';
import fc from 'fast-check';
import { v5 as uuidv5 } from 'uuid';
import { IncidentEntity, NoticeEntity } from '../../db/entities/incident.ts';
import { createRule, type RuleInput } from '../../db/queries/rule-changes.ts';
import { ruleProgress } from '../../db/queries/rule-reads.ts';
import type { Event } from '../../domain/event.ts';
import { type RuleDefinition, windowSpecOf } from '../../domain/rule.ts';
import { Engine } from '../support/engine.ts';
import { modelEpisodes } from '../support/model.ts';

const START = Date.UTC(2026, 4, 4, 12);
const GROUPS = ['web-1', 'web-2'];
const NAMESPACE = '0a3ae0a0-54f5-4f0e-a3a4-2f4b7b4d7c11';

type Settings = Pick<RuleDefinition, 'for_seconds' | 'keep_firing_seconds'> & {
  window: number;
  threshold: number;
  recovery: number;
  lateness: number;
  grouped: boolean;
};

type Step =
  | {
      do: 'append';
      events: { group: number; ago: number; again: boolean }[];
      woken: boolean;
      judged: boolean;
    }
  | { do: 'pass'; ms: number; lag: number; judged: boolean }
  | { do: 'edit'; settings: Settings; enabled: boolean; judged: boolean }
  | { do: 'crash'; nth: number }
  | { do: 'restart' };

const settings: fc.Arbitrary<Settings> = fc.record({
  window: fc.constantFrom(1, 3, 10, 61),
  threshold: fc.integer({ min: 1, max: 4 }),
  recovery: fc.integer({ min: 1, max: 4 }),
  for_seconds: fc.constantFrom(0, 0, 0, 2, 5),
  keep_firing_seconds: fc.constantFrom(0, 0, 0, 2, 5),
  lateness: fc.constantFrom(20, 3600),
  grouped: fc.constantFrom(true, true, true, false),
});

/** Ages crowd at zero and at the edges of windows; some are late by minutes. */
const ago = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 0, 1, 499, 500, 1000) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 12 }).map((s) => s * 1000) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 200 }).map((s) => s * 1000 + 1) },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      events: fc.array(fc.record({ group: fc.nat(1), ago, again: fc.boolean() }), {
        minLength: 1,
        maxLength: 5,
      }),
      woken: fc.boolean(),
      judged: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 500, 1000, 1001, 3000, 10_000, 10_001, 61_001),
      lag: fc.constantFrom(0, 0, 1, 2000, 15_000),
      judged: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('edit' as const),
      settings,
      enabled: fc.constantFrom(true, true, true, false),
      judged: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), nth: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);

const ruleOf = (s: Settings, enabled = true): RuleInput => ({
  name: 'model',
  enabled,
  definition: {
    condition: { kind: 'count', threshold_count: s.threshold, window_seconds: s.window },
    event_type: 'tick',
    severity: null,
    match: [{ field: 'payload.counted', op: '=', value: true }],
    group_by: s.grouped ? ['payload.host'] : [],
    for_seconds: s.for_seconds,
    keep_firing_seconds: s.keep_firing_seconds,
    recovery_threshold: s.recovery,
    allowed_lateness_seconds: s.lateness,
    max_groups: 100,
  },
  late: 'notify',
  incident_severity: null,
  labels: {},
  annotations: {},
  sample: false,
});

interface Stored {
  host: string;
  at: number;
  arrived: number;
  /** Place in the order of commits, edits included. */
  order: number;
}

interface Revision {
  rule: RuleInput;
  from: number;
  order: number;
  /** The rule's first revision, which judges windows whenever they were. */
  first: boolean;
  /** It was disabled before it was ready: it judged nothing, and what it had taken over ended with it. */
  unjudged?: boolean;
}

const PLAIN: Settings = {
  window: 1,
  threshold: 1,
  recovery: 1,
  for_seconds: 0,
  keep_firing_seconds: 0,
  lateness: 20,
  grouped: true,
};

/** Found once: a revision judged only after its successor's events had come counted them in its edge buckets. */
const judgedAfterItsTime: [Settings, Step[]] = [
  PLAIN,
  [
    { do: 'pass', ms: 1, lag: 0, judged: true },
    { do: 'append', events: [{ group: 0, ago: 500, again: false }], woken: false, judged: false },
    { do: 'edit', settings: PLAIN, enabled: false, judged: false },
    {
      do: 'append',
      events: [
        { group: 0, ago: 1000, again: false },
        { group: 0, ago: 0, again: false },
      ],
      woken: false,
      judged: false,
    },
    { do: 'append', events: [{ group: 0, ago: 1, again: false }], woken: false, judged: false },
  ],
];

/** What should be on record: [group, since, opened, ended] of every incident, worked out from the first event on. */
function expected(revisions: readonly Revision[], stored: readonly Stored[], end: number) {
  const incidents: [string, number, number, number][] = [];
  const keyOf = ({ definition }: RuleInput, host: string) =>
    definition.group_by.length > 0 ? JSON.stringify([host]) : '';
  const open = new Map<string, { since: number; opened_at: number }>();
  for (const [i, revision] of revisions.entries()) {
    const { rule, from, order } = revision;
    const next = revisions[i + 1];
    const spec = windowSpecOf(rule.definition);
    const until = next?.from ?? end;
    const horizon = next ? { openUpTo: until - 1, endUpTo: until } : { openUpTo: end, endUpTo: end };
    const counted = stored.filter((e) =>
      e.order < order
        ? e.at >= from - spec.windowMs
        : e.order < (next?.order ?? Number.POSITIVE_INFINITY) &&
          e.arrived - e.at <= rule.definition.allowed_lateness_seconds * 1000,
    );
    const keys = new Set([...counted.map(({ host }) => keyOf(rule, host)), ...open.keys()]);
    const carried = new Map(open);
    open.clear();
    if (!rule.enabled) continue;
    if (revision.unjudged) {
      for (const [key, { since, opened_at }] of carried) incidents.push([key, since, opened_at, until]);
      continue;
    }
    for (const key of keys) {
      const times = counted.filter(({ host }) => keyOf(rule, host) === key).map(({ at }) => at);
      const at = revision.first ? Math.min(...times, from) - 1 : from;
      for (const episode of modelEpisodes(times, spec, { at, firing: carried.get(key) ?? null }, horizon)) {
        const goesOn =
          next?.rule.enabled === true &&
          next.rule.definition.group_by.length === rule.definition.group_by.length;
        if (episode.ended_at === null && goesOn) {
          open.set(key, { since: episode.since, opened_at: episode.opened_at });
        } else incidents.push([key, episode.since, episode.opened_at, episode.ended_at ?? until]);
      }
    }
  }
  return incidents.sort(byGroupAndTime);
}

const byGroupAndTime = (a: readonly (string | number)[], b: readonly (string | number)[]) =>
  String(a[0]).localeCompare(String(b[0])) || Number(a[2]) - Number(b[2]);

describe('incidents', () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.start(START);
  });
  after(() => engine.stop());

  it('agree with a brute-force model, whatever comes late, twice, in between, or not at all', async function () {
    this.timeout(180_000);
    await fc.assert(
      fc.asyncProperty(settings, fc.array(step, { minLength: 3, maxLength: 18 }), async (initial, steps) => {
        // Each example has a stretch of time and a rule of its own in the same database.
        engine.now += 7_200_000;
        const type = `tick-${engine.now}`;
        const typed = (input: RuleInput): RuleInput => ({
          ...input,
          definition: { ...input.definition, event_type: type },
        });
        const rule = await createRule(engine.orm, typed(ruleOf(initial)), engine.now);
        let order = 0;
        const revisions: Revision[] = [
          { rule: ruleOf(initial), from: engine.now, order: order++, first: true },
        ];
        const stored: Stored[] = [];
        const sent: Event[] = [];

        for (const s of steps) {
          if (s.do === 'append') {
            const events = s.events.map(({ group, ago, again }, n): Event => {
              const old = again ? sent.at(-1) : undefined;
              if (old) return old;
              const host = GROUPS[group]!;
              const event: Event = {
                event_id: uuidv5(`${type} ${order} ${n}`, NAMESPACE),
                source_id: 'source',
                occurred_at: engine.now - ago,
                severity: 'high',
                event_type: type,
                payload: { host, counted: true },
              };
              stored.push({ host, at: event.occurred_at, arrived: engine.now, order });
              sent.push(event);
              return event;
            });
            const unmatched = {
              ...events[0]!,
              event_id: uuidv5(`${type} ${order} no`, NAMESPACE),
              payload: {},
            };
            const ids = await engine.append([...events, unmatched]);
            if (s.woken) await engine.wake(ids);
            if (s.judged) await engine.judge(rule.id);
          } else if (s.do === 'pass') {
            engine.now += s.ms;
            await engine.sweep(engine.now - s.lag);
            if (s.judged) await engine.judge(rule.id);
          } else if (s.do === 'edit') {
            engine.now += 1;
            const input = ruleOf(s.settings, s.enabled);
            const before = revisions.at(-1)!.rule;
            const same = JSON.stringify(input) === JSON.stringify(before);
            const { ready } = (await ruleProgress(engine.orm, [rule.id])).get(rule.id)!;
            await engine.edit(rule.id, typed(input));
            if (!same) {
              // One that was not ready has judged nothing: its successor does, from the same instant on.
              const counting = before.enabled && !ready;
              const replaced = counting && s.enabled ? revisions.pop() : undefined;
              if (counting && !s.enabled) revisions.at(-1)!.unjudged = true;
              revisions.push({ rule: input, from: replaced?.from ?? engine.now, order, first: false });
            }
            if (s.judged) await engine.judge(rule.id);
          } else if (s.do === 'crash') await engine.judgeAndCrash(rule.id, s.nth);
          else engine.restart();
          order++;
        }

        engine.now += 300_000;
        await engine.settle(rule.id);
        const found = await engine.orm.em.fork().find(IncidentEntity, { ruleId: rule.id });
        const live = found.filter(({ mergedInto }) => mergedInto === null);
        assert.deepEqual(
          live
            .map((i) => [i.groupKey, i.since.getTime(), i.openedAt.getTime(), i.endedAt?.getTime()])
            .sort(byGroupAndTime as never),
          expected(revisions, stored, engine.now),
        );
        for (const incident of found) {
          assert.equal(incident.state, 'resolved');
          const notices = await engine.orm.em.fork().find(NoticeEntity, { incidentId: incident.id });
          const kinds = notices.map(({ kind }) => kind);
          assert.equal(kinds.filter((kind) => kind === 'opened').length, 1, 'opened once');
          assert.equal(kinds.filter((kind) => kind === 'reopened').length, incident.reopened);
          if (incident.mergedInto === null) {
            assert.equal(kinds.filter((kind) => kind === 'resolved').length, incident.reopened + 1);
          } else assert.ok(found.some(({ id }) => id === incident.mergedInto));
        }
      }),
      {
        numRuns: Number(process.env.MODEL_RUNS ?? 80),
        interruptAfterTimeLimit: 60_000,
        examples: [judgedAfterItsTime],
      },
    );
  });
});
