import fc from 'fast-check';
import { Engine } from '../support/engine.ts';
import { History } from '../support/history.ts';
import { type Settings, type Step, settings, step } from '../support/history-steps.ts';

const START = Date.UTC(2026, 4, 4, 12);

const PLAIN: Settings = {
  window: 1,
  threshold: 1,
  recovery: 1,
  for_seconds: 0,
  keep_firing_seconds: 0,
  lateness: 20,
  grouped: true,
};

/**
 * A bug that was found here: a revision that was judged only after its successor's events had come counted
 * them in its edge buckets.
 */
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

/**
 * A bug that was found here: the model let the first revision count events that came after a second one,
 * never ready, had replaced it.
 */
const replacedBeforeItWasReady: [Settings, Step[]] = [
  PLAIN,
  [
    { do: 'pass', ms: 1, lag: 0, judged: true },
    { do: 'edit', settings: { ...PLAIN, threshold: 2 }, enabled: true, judged: false },
    { do: 'append', events: [{ group: 0, ago: 1, again: false }], woken: false, judged: false },
    { do: 'edit', settings: PLAIN, enabled: true, judged: false },
  ],
];

/** The first revision is judged only after events have come for the second one, which shares its counts. */
const judgedAfterATuning: [Settings, Step[]] = [
  { ...PLAIN, window: 601, threshold: 3, recovery: 3, lateness: 3600 },
  [
    { do: 'pass', ms: 1, lag: 0, judged: true },
    {
      do: 'append',
      events: [
        { group: 0, ago: 0, again: false },
        { group: 0, ago: 1, again: false },
      ],
      woken: false,
      judged: false,
    },
    { do: 'pass', ms: 601_001, lag: 0, judged: false },
    { do: 'append', events: [{ group: 0, ago: 0, again: false }], woken: false, judged: false },
    {
      do: 'tune',
      tuning: { threshold: 4, recovery: 4, for_seconds: 0, keep_firing_seconds: 0 },
      judged: false,
    },
    { do: 'append', events: [{ group: 0, ago: 601_001, again: false }], woken: false, judged: false },
  ],
];

describe('incidents', () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.start(START);
  });
  after(() => engine.stop());

  it('equal those of a brute-force model, whether events come late, twice, in between, or not at all', async function () {
    this.timeout(180_000);
    await fc.assert(
      fc.asyncProperty(settings, fc.array(step, { minLength: 3, maxLength: 18 }), async (initial, steps) => {
        const history = await History.begin(engine, initial);
        for (const s of steps) await history.do(s);
        await history.check();
      }),
      {
        numRuns: Number(process.env.MODEL_RUNS ?? 80),
        interruptAfterTimeLimit: 60_000,
        examples: [judgedAfterItsTime, replacedBeforeItWasReady, judgedAfterATuning],
      },
    );
  });
});
