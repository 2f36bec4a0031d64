import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Engine } from '../support/engine.ts';
import { Freezer, type FrozenCall } from '../support/frozen.ts';
import { History } from '../support/history.ts';
import { type Settings, type Step, settings, step } from '../support/history-steps.ts';

const START = Date.UTC(2026, 5, 4, 12);

/** What happens to a frozen process. `at`: the statement before which it stops. */
type Frozen =
  | { do: 'freeze'; at: number }
  /** It continues. Or PostgreSQL ends its transaction, and it continues later. */
  | { do: 'thaw'; which: number }
  | { do: 'end'; which: number };

const frozen: fc.Arbitrary<Frozen> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('freeze' as const), at: fc.integer({ min: 0, max: 45 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('thaw' as const), which: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end' as const), which: fc.nat(5) }) },
);

const anything: fc.Arbitrary<Step | Frozen> = fc.oneof(
  { weight: 3, arbitrary: step },
  { weight: 2, arbitrary: frozen },
);

const PLAIN: Settings = {
  ...{ window: 10, threshold: 1, recovery: 1, for_seconds: 0, keep_firing_seconds: 0 },
  ...{ lateness: 3600, grouped: true },
};

const append = (ago: number, woken: boolean, judged: boolean): Step => ({
  ...{ do: 'append', events: [{ group: 0, ago, again: false }], woken, judged },
});
const pass = (ms: number, judged: boolean): Step => ({ do: 'pass', ms, lag: 0, judged });
const edit = (threshold: number, judged: boolean): Step => ({
  ...{ do: 'edit', settings: { ...PLAIN, threshold, recovery: 1 }, enabled: true, judged },
});

/**
 * `before`: what happens before a worker freezes while it judges. `meanwhile`: what happens until it
 * continues.
 */
const STORIES: { name: string; before: Step[]; meanwhile: Step[]; reopens?: true }[] = [
  {
    name: 'while it settles a revision that others settle, and that two others follow',
    before: [append(0, true, true), append(0, false, false), edit(2, false), append(1, true, false)],
    meanwhile: [pass(500, true), append(0, true, true), edit(1, true), append(0, true, true)],
  },
  {
    name: 'while it opens an incident that ends meanwhile, and is late prolonged',
    before: [pass(3000, false), append(0, true, false)],
    meanwhile: [pass(20_000, true), append(12_000, true, false)],
  },
  {
    name: 'while an incident ends that others prolong',
    before: [append(0, true, true), pass(11_000, false)],
    meanwhile: [append(2000, true, true), pass(3000, true), append(0, true, false)],
    reopens: true,
  },
  {
    name: 'while it settles a revision of a rule that is then disabled and enabled again',
    before: [append(0, true, true), edit(2, false)],
    meanwhile: [
      { do: 'edit', settings: PLAIN, enabled: false, judged: true },
      edit(1, true),
      append(0, true, true),
    ],
  },
];

/**
 * A worker may be frozen before any of its statements (a virtual machine that is moved, a laptop that sleeps,
 * a debugger), and continue hours later with what it had read. By then, Temporal has given its work to
 * another worker.
 */
describe('calls of frozen workers', () => {
  let engine: Engine;
  let freezer: Freezer;
  before(async () => {
    engine = await Engine.start(START);
    freezer = await Freezer.start(engine.url, 12);
  });
  after(async () => {
    await freezer.stop();
    await engine.stop();
  });

  for (const { name, before, meanwhile, reopens } of STORIES) {
    it(`change nothing ${name}: before every other statement`, async function () {
      this.timeout(120_000);
      for (let at = 0, over = false; !over; at += 2) {
        const history = await History.begin(engine, PLAIN);
        for (const s of before) await history.do(s);
        const call = await freezer.run((orm) => engine.judge(history.rule, orm), at);
        over = call === null;
        // Every other frozen worker loses its transaction.
        if (at % 4 === 0) await call?.end();
        for (const s of meanwhile) {
          const work = history.do(s);
          // If others wait for its locks, it continues while they wait.
          if (await engine.isBlocked(work)) await call?.resume();
          await work;
        }
        await call?.resume();
        const incidents = await engine.incidents(history.rule);
        if (!reopens)
          assert.ok(
            incidents.every(({ reopened }) => reopened === 0),
            `statement ${at}`,
          );
        await history.check();
      }
    });
  }

  it('change nothing, wherever several of them stopped, and in whatever order they continue', async function () {
    this.timeout(240_000);
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.array(anything, { minLength: 4, maxLength: 22 }),
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        async (initial, steps, waits) => {
          const calls: FrozenCall[] = [];
          /**
           * Waits for work. If the work is blocked by a frozen call, that call continues or PostgreSQL ends
           * its transaction.
           */
          const unblocked = async (work: Promise<unknown>) => {
            let n = 0;
            while (await engine.isBlocked(work)) {
              const holder = calls.find(({ holds }) => holds);
              if (!holder) continue;
              calls.splice(calls.indexOf(holder), 1);
              if (!waits[n++ % waits.length]) await holder.end();
              await holder.resume();
            }
            await work;
          };
          const history = await History.begin(engine, initial);
          for (const s of steps) {
            if (s.do === 'freeze') {
              let stopped: FrozenCall | null = null;
              const freezing = freezer
                .run((orm) => engine.judge(history.rule, orm), s.at)
                .then((call) => {
                  stopped = call;
                });
              await unblocked(freezing);
              if (stopped) calls.push(stopped);
            } else if (s.do === 'thaw' || s.do === 'end') {
              const call = calls[s.which % Math.max(calls.length, 1)];
              if (!call) continue;
              if (s.do === 'end') await call.end();
              else {
                calls.splice(calls.indexOf(call), 1);
                await unblocked(call.resume());
              }
            } else await unblocked(history.do(s));
          }
          // Frozen calls continue after everything else has come to rest.
          await unblocked(history.check());
          while (calls.length > 0) await unblocked(calls.pop()!.resume());
          await history.check();
        },
      ),
      { numRuns: Number(process.env.MODEL_RUNS ?? 60), interruptAfterTimeLimit: 120_000 },
    );
  });
});
