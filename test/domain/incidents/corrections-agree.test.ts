import assert from 'node:assert/strict';
import fc from 'fast-check';
import { act, refusalOf } from '../../../domain/incidents/actions.ts';
import { correct } from '../../../domain/incidents/correct.ts';
import { transitionsOf } from '../../../domain/incidents/decide.ts';
import { type IncidentChange, reconcile } from '../../../domain/incidents/incident.ts';
import type { TimelineEntry } from '../../../domain/incidents/timeline.ts';
import type { NewIncident, NewNotice, Transition } from '../../../domain/incidents/transitions.ts';
import type { Episode } from '../../../domain/rules/episodes.ts';

type Incident = NewIncident;

const CORRECTIONS: readonly string[] = ['shortened', 'split', 'withdrawn'];

/** The episodes of a group over 24 instants. The last one may not have ended. */
const episodes = fc
  .record({ fires: fc.array(fc.boolean(), { minLength: 24, maxLength: 24 }), goesOn: fc.boolean() })
  .map(({ fires, goesOn }) => {
    const found: Episode[] = [];
    fires.forEach((firing, at) => {
      const last = found.at(-1);
      if (firing && last?.ended_at === at) last.ended_at = at + 1;
      else if (firing) found.push({ since: at, opened_at: at, ended_at: at + 1 });
    });
    const last = found.at(-1);
    if (goesOn && last?.ended_at === fires.length) last.ended_at = null;
    return found;
  });

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('judge' as const), episodes, late: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('acknowledge' as const, 'resolve' as const) }),
  },
);

/** The recorded incidents of one group, and what receivers were told about them. */
class Record {
  readonly rows = new Map<string, Incident>();
  readonly entries: TimelineEntry[] = [];
  readonly notices: NewNotice[] = [];
  /** The row when receivers were last told about it, by id. */
  readonly believed = new Map<string, Incident>();
  #now = 1000;

  write(transitions: readonly Transition[]): void {
    for (const { incident, entries } of transitions) {
      const row = this.rows.get(incident.id);
      assert.ok(row || 'rule_id' in incident, 'what is not on record cannot change');
      this.rows.set(incident.id, { ...row, ...incident } as Incident);
      this.entries.push(...entries);
    }
    for (const notice of transitions.flatMap(({ notices }) => notices)) {
      this.notices.push(notice);
      this.believed.set(notice.incident_id, this.rows.get(notice.incident_id)!);
    }
  }

  valid = () =>
    [...this.rows.values()]
      .filter(({ merged_into, withdrawn_at }) => merged_into === null && withdrawn_at === null)
      .sort((a, b) => a.opened_at - b.opened_at);

  told = () => new Set(this.notices.map(({ incident_id }) => incident_id));

  judge(found: readonly Episode[], late: boolean): { changes: IncidentChange[]; transitions: Transition[] } {
    const changes = correct(this.valid(), found);
    this.#now += 1;
    const transitions = transitionsOf({
      ...{ changes, onRecord: this.valid(), told: this.told(), lastEpisode: this.rows.size },
      rule: { rule_id: 'r', rule_name: 'rule', revision: 1, group_key: 'g' },
      describe: () => ({
        ...{ summary: '', severity: 'high', group_labels: {}, labels: {}, annotations: {}, late },
      }),
      announceLate: false,
      metadataAt: (opened_at) => ({ observed_count: opened_at }),
      reasonAt: () => 'recovered',
      now: this.#now,
    });
    this.write(transitions);
    return { changes, transitions };
  }

  act(action: 'acknowledge' | 'resolve'): void {
    const row = this.valid().find(({ state }) => state !== 'resolved');
    if (!row || refusalOf(action, row.state) !== null) return;
    this.#now += 1;
    this.write([act({ action, incident_id: row.id, request: String(this.#now), actor: 'ada' }, this.#now)]);
  }
}

const bounds = ({ opened_at, ended_at }: Pick<Episode, 'opened_at' | 'ended_at'>) => [opened_at, ended_at];

describe('any sequence of judgings of a kind that late events can disprove', () => {
  const check = (assertion: (record: Record, steps: readonly Step[]) => void) =>
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => assertion(new Record(), steps)),
      { numRuns: 2000 },
    );
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

  it('leaves incidents that equal the episodes of the last judging', () => {
    check((record, steps) => {
      for (const one of steps) {
        if (one.do !== 'judge') record.act(one.do);
        else {
          record.judge(one.episodes, one.late);
          assert.deepEqual(record.valid().map(bounds), one.episodes.map(bounds));
        }
        const open = record.valid().filter(({ state }) => state !== 'resolved');
        assert.ok(open.every(({ ended_at }) => ended_at === null));
        const ongoing = record.valid().filter(({ ended_at }) => ended_at === null);
        assert.ok(ongoing.every(({ state, resolved_by }) => state !== 'resolved' || resolved_by === 'ada'));
        for (const { opened_at, metadata } of record.valid())
          assert.equal(metadata.observed_count, opened_at);
      }
    });
  });

  it('puts each correction on the timeline once, and notifies once those who were notified of the incident', () => {
    check((record, steps) => {
      for (const one of steps) {
        if (one.do !== 'judge') {
          record.act(one.do);
          continue;
        }
        const told = record.told();
        const before = new Map(record.rows);
        const { changes, transitions } = record.judge(one.episodes, one.late);
        const count = (list: readonly { incident_id: string; kind: string }[], id: string) =>
          list.filter(({ incident_id, kind }) => incident_id === id && CORRECTIONS.includes(kind)).length;
        for (const id of before.keys()) {
          const corrected = changes.filter(
            (change) => (change.kind === 'shorten' || change.kind === 'withdraw') && change.id === id,
          ).length;
          assert.ok(corrected <= 1);
          assert.equal(
            count(
              transitions.flatMap(({ entries }) => entries),
              id,
            ),
            corrected,
          );
          assert.equal(
            count(
              transitions.flatMap(({ notices }) => notices),
              id,
            ),
            told.has(id) ? corrected : 0,
          );
        }
        assert.ok(transitions.every(({ entries }) => entries.length > 0));
      }
      const ids = record.notices.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, 'two notices have one id');
    });
  });

  it('never leaves anybody with a notice of more than is recorded', () => {
    check((record, steps) => {
      for (const one of steps) {
        if (one.do === 'judge') record.judge(one.episodes, one.late);
        else record.act(one.do);
        for (const [id, believed] of record.believed) {
          const row = record.rows.get(id)!;
          assert.equal(believed.withdrawn_at, row.withdrawn_at);
          if (row.merged_into !== null || row.withdrawn_at !== null) continue;
          assert.ok(believed.opened_at >= row.opened_at, 'it began later than was told');
          // If a person resolved an incident, nobody is told when its episode ends.
          if (row.ended_at !== null && row.resolved_by === null)
            assert.ok((believed.ended_at ?? row.ended_at) <= row.ended_at, 'it ended sooner than was told');
          if (row.state === 'resolved') assert.equal(believed.state, 'resolved');
          else assert.notEqual(believed.state, 'resolved');
        }
      }
    });
  });

  it('keeps what people did: an acknowledgement, and a resolve while the episode continues', () => {
    check((record, steps) => {
      const acknowledged = new Map<string, number>();
      for (const one of steps) {
        if (one.do === 'judge') record.judge(one.episodes, one.late);
        else record.act(one.do);
        for (const { id, acknowledged_at, acknowledged_by } of record.rows.values()) {
          const earlier = acknowledged.get(id);
          if (earlier !== undefined)
            assert.ok((acknowledged_at ?? 0) >= earlier && acknowledged_by === 'ada');
          if (acknowledged_at !== null) acknowledged.set(id, acknowledged_at);
        }
        for (const row of record.rows.values()) {
          if (row.resolved_by === 'ada') assert.equal(row.state, 'resolved');
          if (row.withdrawn_at !== null) assert.deepEqual(bounds(row), [row.opened_at, row.opened_at]);
        }
      }
    });
  });

  it('makes the same changes as comparing without corrections, as long as firing only grows', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(23), { maxLength: 24 }), fc.nat(23), (instants, more) => {
        const firing = (at: readonly number[]) => {
          const found: Episode[] = [];
          for (const t of [...new Set(at)].sort((a, b) => a - b)) {
            const last = found.at(-1);
            if (last?.ended_at === t) last.ended_at = t + 1;
            else found.push({ since: t, opened_at: t, ended_at: t + 1 });
          }
          return found;
        };
        const record = new Record();
        record.judge(firing(instants), false);
        const grown = firing([...instants, more]);
        assert.deepEqual(correct(record.valid(), grown), reconcile(record.valid(), grown));
      }),
    );
  });
});
