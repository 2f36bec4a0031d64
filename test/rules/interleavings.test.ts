import assert from 'node:assert/strict';
import { createRule } from '../../db/queries/rules/changes.ts';
import type { Event } from '../../domain/events/event.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const WINDOW = 10_000;

/** Wakers and appends do not wait for judges. What they do during a judgement must not be lost. */
describe('events that come between a judge’s read and its commit', () => {
  let engine: Engine;
  let rule: string;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
    ({ id: rule } = await createRule(engine.orm, aRule(), NOON));
    await engine.judge(rule);
  });
  afterEach(() => engine.stop());

  const ticks = (n: number, occurred_at: number) => Array.from({ length: n }, () => anEvent({ occurred_at }));

  /**
   * Judges. Before its first commit, the events are stored and their waker has run or waits for that commit.
   */
  async function judgeWhile(events: readonly Event[]): Promise<void> {
    let woken: Promise<unknown> | undefined;
    await engine.judgeWith(rule, async () => {
      if (woken) return;
      const ids = await engine.append(events);
      woken = engine.wake(ids);
      await engine.doneOrBlocked(woken);
    });
    assert.ok(woken, 'there was nothing to judge');
    await woken;
    await engine.judge(rule);
  }

  const spans = async () =>
    (await engine.incidents(rule)).map(({ openedAt, endedAt }) => [
      openedAt.getTime() - NOON,
      endedAt && endedAt.getTime() - NOON,
    ]);

  it('keep a group firing that was about to stop', async () => {
    await engine.arrive(rule, ticks(3, NOON));
    engine.now = NOON + 15_000;
    await engine.sweep(engine.now);
    await judgeWhile(ticks(3, NOON + WINDOW));
    assert.deepEqual(await spans(), [[0, null]]);
    await engine.pass(rule, NOON + 60_000);
    assert.deepEqual(await spans(), [[0, 2 * WINDOW + 1]]);
    const [incident] = await engine.incidents(rule);
    const notices = await engine.notices(incident!.id);
    assert.equal(notices.filter((kind) => kind === 'opened').length, 1);
    assert.equal(notices.filter((kind) => kind === 'resolved').length, incident!.reopened + 1);
  });

  it('open another incident when the group stops and starts again', async () => {
    await engine.arrive(rule, ticks(3, NOON));
    engine.now = NOON + 15_000;
    await engine.sweep(engine.now);
    await judgeWhile(ticks(3, NOON + 12_000));
    assert.deepEqual(await spans(), [
      [0, WINDOW + 1],
      [12_000, null],
    ]);
  });

  it('move the beginning of an incident that is being opened', async () => {
    await engine.wake(await engine.append(ticks(3, NOON)));
    await judgeWhile(ticks(3, NOON - 2000));
    assert.deepEqual(await spans(), [[-2000, null]]);
  });

  it('open an incident for a group that was just judged to be quiet', async () => {
    await engine.wake(await engine.append([...ticks(2, NOON), ...ticks(1, NOON - WINDOW - 1)]));
    await judgeWhile(ticks(1, NOON));
    assert.deepEqual(await spans(), [[0, null]]);
  });

  it('reopen an incident that was just judged to be over, even if they are noted before that judge commits', async () => {
    await engine.arrive(rule, ticks(3, NOON));
    await engine.pass(rule, NOON + 15_000);
    const edge = NOON + WINDOW + 1;
    await engine.wake(await engine.append(ticks(2, edge)));
    let judging: Promise<unknown> | undefined;
    // The judge waits for the last row that it reads.
    await engine.orm.em.fork().transactional(async (em) => {
      await em.execute('lock table notices in access exclusive mode');
      judging = engine.judge(rule);
      await engine.doneOrBlocked(judging);
      await engine.wake(await engine.append(ticks(1, edge)));
    });
    await judging;
    await engine.judge(rule);
    assert.deepEqual(await spans(), [[0, null]]);
  });

  it('are judged even if the judge dies then', async () => {
    await engine.wake(await engine.append(ticks(3, NOON)));
    let woken: Promise<unknown> | undefined;
    await assert.rejects(
      engine.judgeWith(rule, async () => {
        woken = engine.wake(await engine.append(ticks(3, NOON - 2000)));
        // The waker may wait for this judge's rows. If the test waited for the waker here, it would wait
        // until the judge's session ends.
        await engine.doneOrBlocked(woken);
        throw new Error('killed');
      }),
      /killed/,
    );
    await woken;
    assert.deepEqual(await spans(), []);
    await engine.judge(rule);
    assert.deepEqual(await spans(), [[-2000, null]]);
  });

  it('are seen by the later of two concurrent wakers', async () => {
    const first = await engine.append(ticks(2, NOON));
    const second = await engine.append(ticks(1, NOON));
    await Promise.all([engine.wake(first), engine.wake(second)]);
    await engine.judge(rule);
    assert.deepEqual(await spans(), [[0, null]]);
  });

  it('are not judged twice by two concurrent judges', async () => {
    await engine.wake(await engine.append(ticks(3, NOON)));
    let other: Promise<unknown> | undefined;
    await engine.judgeWith(rule, async () => {
      other ??= engine.judge(rule);
      await engine.doneOrBlocked(other);
    });
    await other;
    assert.deepEqual(await spans(), [[0, null]]);
    const [incident] = await engine.incidents(rule);
    assert.deepEqual(await engine.notices(incident!.id), ['opened']);
  });
});
