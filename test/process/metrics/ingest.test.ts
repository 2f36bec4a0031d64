import assert from 'node:assert/strict';
import { Registry } from 'prom-client';
import { createRule } from '../../../db/queries/rules/changes.ts';
import type { Appended } from '../../../ingest/append/append.ts';
import { Waker } from '../../../ingest/append/waker.ts';
import { createIngest } from '../../../ingest/ingest.ts';
import { observed, timed } from '../../../ingest/observer.ts';
import { BufferFull, type Ingest } from '../../../ingest/outcome.ts';
import { observeIngest } from '../../../process/metrics/ingest.ts';
import { anEvent, aRule, Engine } from '../../support/engine.ts';
import { sampled, samplesOf } from '../../support/samples.ts';
import { silent } from '../../support/stage/log.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

describe('metrics of the ingest path', () => {
  const registry = new Registry();
  const observer = observeIngest(registry, 'producer');
  const value = async (name: string, labels = {}) =>
    sampled(samplesOf(await registry.metrics()), name, labels) ?? 0;
  const events = (n: number) => Array.from({ length: n }, () => anEvent({ occurred_at: NOON }));

  it('exist from the start, with the value zero', async () => {
    for (const outcome of ['stored', 'duplicate', 'invalid', 'refused']) {
      assert.equal(await value('tocsin_events_total', { outcome, via: 'producer' }), 0);
    }
  });

  it('count every refused event', async () => {
    const full = {
      accept: () => Promise.reject(new BufferFull(1)),
      claimTimes: () => Promise.reject(new BufferFull(1)),
    } as unknown as Ingest;
    const ingest = observed(full, observer);
    await assert.rejects(ingest.accept(events(7)), BufferFull);
    await assert.rejects(ingest.claimTimes(events(2)), BufferFull);
    assert.equal(await value('tocsin_events_total', { outcome: 'refused' }), 9);
  });

  it('measure every append, and failed ones separately', async () => {
    const append = timed(async (list: readonly number[]): Promise<Appended> => {
      if (list.length === 3) throw new Error('broken off');
      return { outcomes: [], outboxIds: [] };
    }, observer);
    await append([1, 2]);
    await assert.rejects(append([1, 2, 3]), /broken off/);
    const name = 'tocsin_append_duration_seconds_count';
    assert.equal(await value(name, { result: 'committed' }), 1);
    assert.equal(await value(name, { result: 'failed' }), 1);
    assert.equal(await value('tocsin_append_events_sum'), 5);
  });

  it('measure the time from a commit to the signal, once for commits that are signalled together', async () => {
    const engine = await Engine.start(NOON);
    try {
      const { id } = await createRule(engine.orm, aRule({ threshold: 1 }), NOON);
      await engine.judge(id);
      const signalled: string[] = [];
      const signal = async (ids: readonly string[]) => {
        signalled.push(...ids);
      };
      const waker = new Waker({ orm: engine.orm, signal, log: silent, observer });
      waker.committed(await engine.append(events(1)));
      waker.committed(await engine.append(events(1)));
      await waker.idle();
      assert.deepEqual(signalled, [id]);
      const rounds = await value('tocsin_wake_duration_seconds_count');
      assert.ok(rounds >= 1 && rounds <= 2);
      assert.ok((await value('tocsin_wake_duration_seconds_sum')) > 0);

      const broken = async () => Promise.reject(new Error('Temporal is away'));
      const failing = new Waker({ orm: engine.orm, signal: broken, log: silent, observer });
      failing.committed(['1']);
      await failing.idle();
      assert.equal(await value('tocsin_wake_duration_seconds_count'), rounds, 'nobody was woken');
    } finally {
      await engine.stop();
    }
  });

  it('measure what the real ingest path does', async () => {
    const engine = await Engine.start(NOON);
    const ingest = createIngest({
      ...{ orm: engine.orm, client: undefined as never, clock: () => NOON, log: silent, observer },
      limits: { bufferEvents: 100, appendEvents: 100 },
    });
    try {
      const before = await value('tocsin_append_events_sum');
      const [one] = events(1);
      await ingest.accept([one!, one!]);
      assert.equal(await value('tocsin_events_total', { outcome: 'stored' }), 1);
      assert.equal(await value('tocsin_events_total', { outcome: 'duplicate' }), 1);
      assert.equal(await value('tocsin_append_events_sum'), before + 2);
    } finally {
      await ingest.stop();
      await engine.stop();
    }
  });
});
