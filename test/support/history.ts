import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { v5 as uuidv5 } from 'uuid';
import { IncidentEntity, NoticeEntity } from '../../db/entities/incident.ts';
import { sqlOf } from '../../db/orm.ts';
import { createRule, type RuleInput } from '../../db/queries/rules/changes.ts';
import type { Event } from '../../domain/events/event.ts';
import { windowSpecOf } from '../../domain/rules/rule.ts';
import type { Engine } from './engine.ts';
import type { Settings, Step } from './history-steps.ts';
import { modelEpisodes } from './model.ts';

const GROUPS = ['web-1', 'web-2'];
const NAMESPACE = '0a3ae0a0-54f5-4f0e-a3a4-2f4b7b4d7c11';

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
  /** Its position in the order of commits, edits included. */
  order: number;
}

/** From when on something is counted. */
interface Counts {
  /** Of events stored before this position in the order of commits, only those from `from` on are counted. */
  order: number;
  from: number;
}

interface Revision {
  rule: RuleInput;
  from: number;
  /**
   * From this position on, the earlier revision no longer counts: one that was never ready had replaced it.
   */
  began: number;
  /** True for the rule's first revision, which judges windows of any time. */
  first: boolean;
  /** What it counts. Later revisions that count the same share it. */
  counts: Counts;
  /**
   * True if it was disabled before it was ready. Then it judged nothing, and what it had taken over ended
   * with it.
   */
  unjudged?: boolean;
}

/** A rule with its own event type. */
const typed = (input: RuleInput, event_type: string): RuleInput => ({
  ...input,
  definition: { ...input.definition, event_type },
});

/**
 * The incidents that should be recorded: [group, since, opened, ended] of each, computed from the first event
 * on.
 */
function expected(revisions: readonly Revision[], stored: readonly Stored[], end: number) {
  const incidents: [string, number, number, number][] = [];
  const keyOf = ({ definition }: RuleInput, host: string) =>
    definition.group_by.length > 0 ? JSON.stringify([host]) : '';
  const open = new Map<string, { since: number; opened_at: number }>();
  for (const [i, revision] of revisions.entries()) {
    const { rule, from, counts } = revision;
    const next = revisions[i + 1];
    const spec = windowSpecOf(rule.definition);
    const until = next?.from ?? end;
    const horizon = next ? { openUpTo: until - 1, endUpTo: until } : { openUpTo: end, endUpTo: end };
    const counted = stored.filter((e) =>
      e.order < counts.order
        ? e.at >= counts.from
        : e.order < (next?.began ?? Number.POSITIVE_INFINITY) &&
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
        // A revision that was never ready takes nothing over and ends nothing; its successor does.
        const goesOn =
          next?.unjudged ||
          (next?.rule.enabled === true &&
            next.rule.definition.group_by.length === rule.definition.group_by.length);
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

/** Says whether the counts of the first revision contain everything that the second one counts. */
function countsTheSame(before: RuleInput, after: RuleInput): boolean {
  const [a, b] = [before.definition, after.definition];
  const [was, is] = [windowSpecOf(a), windowSpecOf(b)];
  return (
    before.enabled &&
    after.enabled &&
    was.bucketMs === is.bucketMs &&
    was.windowMs >= is.windowMs &&
    a.allowed_lateness_seconds === b.allowed_lateness_seconds &&
    a.group_by.length === b.group_by.length
  );
}

/** One rule in an engine, everything that was done to it, and what must result. */
export class History {
  readonly #engine: Engine;
  readonly #type: string;
  readonly #revisions: Revision[];
  readonly #stored: Stored[] = [];
  readonly #sent: Event[] = [];
  #order = 0;
  #settings: Settings;
  readonly rule: string;

  private constructor(engine: Engine, type: string, rule: string, initial: Settings) {
    const first = ruleOf(initial);
    this.#settings = initial;
    this.#engine = engine;
    this.#type = type;
    this.rule = rule;
    const order = this.#order++;
    const from = engine.now;
    const counts = { order, from: from - windowSpecOf(first.definition).windowMs };
    this.#revisions = [{ rule: first, from, began: order, first: true, counts }];
  }

  /** Each history has its own rule and its own range of time in the same database. */
  static async begin(engine: Engine, initial: Settings): Promise<History> {
    engine.now += 7_200_000;
    const type = `tick-${engine.now}`;
    const first = ruleOf(initial);
    const { id } = await createRule(engine.orm, typed(first, type), engine.now);
    return new History(engine, type, id, initial);
  }

  async do(s: Step): Promise<void> {
    const engine = this.#engine;
    if (s.do === 'append') {
      const events = s.events.map((event, n) => this.#event(event, n));
      const unmatched = { ...events[0]!, event_id: this.#id('no'), payload: {} };
      const ids = await engine.append([...events, unmatched]);
      if (s.woken) await engine.wake(ids);
      if (s.judged) await engine.judge(this.rule);
    } else if (s.do === 'pass') {
      engine.now += s.ms;
      await engine.sweep(engine.now - s.lag);
      if (s.judged) await engine.judge(this.rule);
    } else if (s.do === 'edit') {
      engine.now += 1;
      this.#settings = s.settings;
      await this.#edit(ruleOf(s.settings, s.enabled));
      if (s.judged) await engine.judge(this.rule);
    } else if (s.do === 'tune') {
      engine.now += 1;
      this.#settings = { ...this.#settings, ...s.tuning };
      await this.#edit(ruleOf(this.#settings, this.#revisions.at(-1)!.rule.enabled));
      if (s.judged) await engine.judge(this.rule);
    } else if (s.do === 'crash') await engine.judgeAndCrash(this.rule, s.nth);
    else engine.restart();
    this.#order++;
  }

  async #edit(input: RuleInput): Promise<void> {
    const engine = this.#engine;
    const before = this.#revisions.at(-1)!.rule;
    await engine.edit(this.rule, typed(input, this.#type));
    if (JSON.stringify(input) === JSON.stringify(before)) return;
    const { rows } = await sql<{ ready: boolean }>`
      select ready from rule_versions where rule_id = ${this.rule} order by revision desc limit 1 offset 1`.execute(
      sqlOf(engine.orm),
    );
    // A revision that was not ready has judged nothing. Its successor judges from the same time on.
    const counting = before.enabled && !rows[0]!.ready;
    const replaced = counting && input.enabled ? this.#revisions.pop() : undefined;
    if (counting && !input.enabled) this.#revisions.at(-1)!.unjudged = true;
    const from = replaced?.from ?? engine.now;
    const last = replaced ?? this.#revisions.at(-1)!;
    const counts = countsTheSame(before, input)
      ? last.counts
      : { order: this.#order, from: from - windowSpecOf(input.definition).windowMs };
    this.#revisions.push({
      ...{ rule: input, from, first: false, counts },
      began: replaced?.began ?? this.#order,
    });
  }

  #id(n: number | string): string {
    return uuidv5(`${this.#type} ${this.#order} ${n}`, NAMESPACE);
  }

  #event({ group, ago, again }: { group: number; ago: number; again: boolean }, n: number): Event {
    const old = again ? this.#sent.at(-1) : undefined;
    if (old) return old;
    const host = GROUPS[group]!;
    const occurred_at = this.#engine.now - ago;
    this.#stored.push({ host, at: occurred_at, arrived: this.#engine.now, order: this.#order });
    const event: Event = {
      ...{ event_id: this.#id(n), source_id: 'source', occurred_at, severity: 'high' },
      ...{ event_type: this.#type, payload: { host, counted: true } },
    };
    this.#sent.push(event);
    return event;
  }

  /** Lets twenty minutes pass until nothing is left to judge, and compares all incidents with the model. */
  async check(): Promise<void> {
    const engine = this.#engine;
    engine.now += 1_200_000;
    await engine.settle(this.rule);
    const found = await engine.orm.em.fork().find(IncidentEntity, { ruleId: this.rule });
    const live = found.filter(({ mergedInto }) => mergedInto === null);
    assert.deepEqual(
      live
        .map((i) => [i.groupKey, i.since.getTime(), i.openedAt.getTime(), i.endedAt?.getTime()])
        .sort(byGroupAndTime as never),
      expected(this.#revisions, this.#stored, engine.now),
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
  }
}
