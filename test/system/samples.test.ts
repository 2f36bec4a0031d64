import assert from 'node:assert/strict';
import { MockActivityEnvironment } from '@temporalio/testing';
import { sql } from 'kysely';
import { createIngestActivities, type Emitted } from '../../activities/producers/emit.ts';
import { DeadLetterEntity } from '../../db/entities/dead-letter.ts';
import { ProducerEntity } from '../../db/entities/producer.ts';
import { sqlOf } from '../../db/orm.ts';
import { insertDeadLetters } from '../../db/queries/dead-letters/writes.ts';
import { claimTimes } from '../../db/queries/events/append.ts';
import { removeSampleProducers } from '../../db/queries/events/removed-samples.ts';
import { insertProducer } from '../../db/queries/producers/rows.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { pauseSamples, removeSamples } from '../../db/queries/system/samples.ts';
import type { ProducerSettings } from '../../domain/producers/producer.ts';
import type { Ingest } from '../../ingest/outcome.ts';
import type { Batch } from '../../workflows/messages.ts';
import { simulated } from '../producers/settings.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';
import { silent } from '../support/stage/log.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

describe('removing the samples', () => {
  let engine: Engine;
  let sample: string;
  let own: string;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
    const em = engine.orm.em.fork();
    const times = { createdAt: new Date(NOON), updatedAt: new Date(NOON) };
    for (const [id, isSample] of [
      ['sampled', true],
      ['mine', false],
    ] as const) {
      em.create(ProducerEntity, { id, sample: isSample, settings: {} as ProducerSettings, ...times });
      em.create(DeadLetterEntity, {
        ...{ id: crypto.randomUUID(), sourceId: id, kind: 'event', state: 'waiting', failure: 'invalid' },
        ...{ reason: 'x', field: null, content: {}, eventCount: 1, ...times },
      } as never);
    }
    await em.flush();
    sample = (await createRule(engine.orm, aRule({ sample: true }), NOON)).id;
    own = (await createRule(engine.orm, aRule({ threshold: 4 }), NOON)).id;
    const events = ['sampled', 'sampled', 'sampled', 'mine', 'mine'].map((source_id) =>
      anEvent({ occurred_at: NOON, source_id }),
    );
    await claimTimes(sqlOf(engine.orm), events);
    await engine.wake(await engine.append(events));
    for (const rule of [sample, own]) await engine.judge(rule);
    engine.now += 1000;
  });
  afterEach(() => engine.stop());

  const count = async (from: string) =>
    (
      await sql<{ n: number }>`select coalesce(sum(n), 0)::int as n from ${sql.raw(from)}`.execute(
        sqlOf(engine.orm),
      )
    ).rows[0]!.n;

  it('removes everything they stored, says how much that was, and keeps the rest', async () => {
    assert.equal((await engine.incidents(sample)).length, 1);
    const [open] = await engine.incidents(sample);
    const { removed, incidents } = await removeSamples(engine.orm, engine.now);
    assert.deepEqual(incidents, [open!.id]);
    assert.deepEqual(removed, { rules: 1, producers: 1, events: 3, incidents: 1, dead_letters: 1 });
    for (const table of [
      ...['rule_versions', 'rule_groups', 'window_counts', 'pending_evaluations', 'alert_incidents'],
    ]) {
      assert.equal(await engine.rows(table, sample), 0, table);
    }
    assert.equal(await count(`(select 1 as n from events) e`), 2);
    assert.equal(await count(`(select 1 as n from event_ids) e`), 2);
    assert.equal(await count('event_rollups'), 2);
    assert.equal(await count(`(select 1 as n from producers) p`), 1);
    assert.equal(await count(`(select 1 as n from dead_letters) d`), 1);
    assert.equal(await count(`(select 1 as n from alert_rules) r`), 3, 'one, and those built in');
    for (const table of ['notices', 'incident_timeline']) {
      const left = `(select 1 as n from ${table} where incident_id not in (select id from alert_incidents)) x`;
      assert.equal(await count(left), 0, table);
    }
  });

  it('makes other rules count again, and ends incidents that only samples had opened', async () => {
    assert.equal((await engine.incidents(own))[0]?.state, 'open');
    const { signal } = await removeSamples(engine.orm, engine.now);
    assert.deepEqual([...signal].sort(), [sample, own].sort());
    await engine.settle(own);
    assert.equal(await engine.counted(own, 2), 2);
    const [incident] = await engine.incidents(own);
    assert.deepEqual([incident?.state, incident?.resolveReason], ['resolved', 'rule changed']);
    engine.now += 1000;
    await engine.arrive(
      own,
      [1, 2].map(() => anEvent({ occurred_at: engine.now })),
    );
    assert.deepEqual(
      (await engine.incidents(own)).map(({ state }) => state),
      ['resolved', 'open'],
    );
  });

  it('removes more events than one statement can, of one instant or many', async () => {
    const more = Array.from({ length: 5500 }, (_, i) =>
      anEvent({ occurred_at: NOON - (i < 5200 ? 0 : i), source_id: 'sampled' }),
    );
    for (let i = 0; i < more.length; i += 1000) await engine.append(more.slice(i, i + 1000));
    const { removed } = await removeSamples(engine.orm, engine.now);
    assert.equal(removed.events, 5503);
    assert.equal(await count(`(select 1 as n from events) e`), 2);
    assert.equal(await count('event_rollups'), 2);
  });

  const eventsOfSamples = () => count(`(select 1 as n from events where source_id = 'sampled') e`);

  it('stores no late events of their producers, but other events in the same batch', async () => {
    assert.deepEqual(await pauseSamples(engine.orm, engine.now), ['sampled']);
    await removeSamples(engine.orm, engine.now);
    const late = ['mine', 'sampled', 'mine'].map((source_id) =>
      anEvent({ occurred_at: engine.now, source_id }),
    );
    const { outcomes } = await engine.newAppend(undefined, true).run(late);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['stored', 'invalid', 'stored'],
    );
    assert.equal(await eventsOfSamples(), 0);
    const people = await engine.store([anEvent({ occurred_at: engine.now, source_id: 'sampled' })]);
    assert.equal(people.outcomes[0]!.status, 'stored', 'people may use the name');
    await removeSamples(engine.orm, engine.now);
    assert.equal(await eventsOfSamples(), 1, 'and keep what they sent');
  });

  it('waits for a batch whose append began before', async () => {
    // Removing a rule also blocks appends.
    await sql`update alert_rules set sample = false`.execute(sqlOf(engine.orm));
    let removing: ReturnType<typeof removeSamples> | undefined;
    const append = engine.newAppend(async () => {
      removing = removeSamples(engine.orm, engine.now);
      await engine.doneOrBlocked(removing);
    }, true);
    const { outcomes } = await append.run([anEvent({ occurred_at: NOON + 5000, source_id: 'sampled' })]);
    assert.equal(outcomes[0]!.status, 'stored');
    assert.equal((await removing!).removed.events, 4);
    assert.equal(await eventsOfSamples(), 0);
  });

  it('stores no batch that a killed worker left to another, and no dead letter of it', async () => {
    const batch: Batch = {
      source_id: 'sampled',
      settings: simulated({ rate_per_second: 10, tick_ms: 1000 }),
      ...{ first_sequence: 1, from_at: NOON, tick_at: NOON + 1000, appended_through: NOON },
    };
    const accept: Ingest['accept'] = async (events) =>
      (await engine.newAppend(undefined, true).run(events)).outcomes;
    const deps = {
      ...{ orm: engine.orm, ingest: { accept } as Ingest, log: silent, retentionDays: 30 },
      clock: () => engine.now,
    };
    const { emitBatch } = createIngestActivities({ ...deps, probe: assert.fail as never });
    const environment = new MockActivityEnvironment();
    const before: Emitted = await environment.run(emitBatch, batch);
    assert.equal(before.stored, 10);
    await removeSamples(engine.orm, engine.now);
    for (const first_sequence of [1, 11]) {
      const late: Emitted = await environment.run(emitBatch, { ...batch, first_sequence });
      assert.deepEqual([late.stored, late.duplicates, late.gone], [0, 0, true]);
    }
    const letters = ['sampled', 'mine'].map((source_id) => ({
      ...{ id: crypto.randomUUID(), source_id, kind: 'batch' as const },
      ...{ failure: 'transient', reason: 'x', field: null },
      ...{ content: { batch }, event_count: 10, created_at: NOON, unheard: null },
    }));
    assert.equal(await insertDeadLetters(engine.orm, letters), 1);
    assert.equal(await eventsOfSamples(), 0);
    assert.equal(await count(`(select 1 as n from dead_letters where source_id = 'sampled') d`), 0);
  });

  it('continues after a call that was interrupted', async () => {
    const { sources } = await removeSampleProducers(engine.orm);
    assert.deepEqual(sources, ['sampled']);
    const { removed } = await removeSamples(engine.orm, engine.now);
    assert.deepEqual([removed.producers, removed.events, removed.dead_letters], [0, 3, 1]);
  });

  it('stores the events of a producer that is created with the same name later', async () => {
    await removeSamples(engine.orm, engine.now);
    const producer = { id: 'sampled', settings: {} as ProducerSettings, paused: false, sample: true };
    await insertProducer(engine.orm, producer, engine.now);
    const event = anEvent({ occurred_at: engine.now, source_id: 'sampled' });
    const { outcomes } = await engine.newAppend(undefined, true).run([event]);
    assert.equal(outcomes[0]!.status, 'stored');
    assert.equal((await removeSamples(engine.orm, engine.now)).removed.events, 1);
  });

  it('leaves no counts of an append that was in progress', async () => {
    let removing: Promise<unknown> | undefined;
    const append = engine.newAppend(async () => {
      removing = removeSamples(engine.orm, engine.now);
      await engine.doneOrBlocked(removing);
    });
    await append.run([anEvent({ occurred_at: NOON + 5000, source_id: 'mine' })]);
    assert.ok(removing);
    await removing;
    assert.equal(await engine.rows('window_counts', sample), 0);
    assert.equal(await engine.rows('rule_groups', sample), 0);
  });

  it('removes nothing if there are no samples', async () => {
    await removeSamples(engine.orm, engine.now);
    const { removed, signal, incidents } = await removeSamples(engine.orm, engine.now);
    assert.deepEqual(removed, { rules: 0, producers: 0, events: 0, incidents: 0, dead_letters: 0 });
    assert.deepEqual([signal, incidents], [[], []]);
  });
});
