import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { createRedriveActivities } from '../../activities/dead-letters/redrive.ts';
import { DeadLetterSpans } from '../../db/migrations/20261130008001-dead-letter-spans.ts';
import { sqlOf } from '../../db/orm.ts';
import {
  insertDeadLetters,
  type NewDeadLetter,
  settleDeadLetters,
} from '../../db/queries/dead-letters/writes.ts';
import { listeners } from '../../db/queries/rules/watermark.ts';
import { deafnessWithin, spansWithin } from '../../db/queries/system/deaf-spans.ts';
import { createIngest } from '../../ingest/ingest.ts';
import { anEvent, Engine } from '../support/engine.ts';
import { silent } from '../support/stage/log.ts';

const S = 1000;

describe('the deaf span of a dead letter', () => {
  let engine: Engine;
  let now: number;
  beforeEach(async () => {
    now = Date.now();
    engine = await Engine.start(now);
  });
  afterEach(() => engine.stop());
  const db = () => sqlOf(engine.orm);
  const letter = (from_at: number, to_at: number, changes: Partial<NewDeadLetter> = {}): NewDeadLetter => ({
    ...{ id: crypto.randomUUID(), source_id: 'meter', kind: 'batch', failure: 'refused', reason: 'away' },
    ...{ field: null, content: {}, event_count: 1, created_at: now, unheard: { from_at, to_at } },
    ...changes,
  });
  /** The recorded spans, with times in seconds from now. */
  const spans = async () =>
    (await spansWithin(db(), { from: 0, to: now + 60_000, limit: 100 })).map(
      ({ whose, name, reason, from_at, to_at }) => [
        ...[whose, name, reason],
        ...[(from_at - now) / S, (to_at - now) / S],
      ],
    );
  const span = (from: number, to: number) => ['source', 'meter', 'dead_letter', from, to];
  const settle = (ids: string[], state: 'redriven' | 'discarded') =>
    settleDeadLetters(engine.orm, { sourceId: 'meter', ids, state, at: now });

  it('is stored together with the letter, once, and does not hold the watermark', async () => {
    const one = letter(now - 20 * S, now - 10 * S);
    await Promise.all([1, 2].map(() => insertDeadLetters(engine.orm, [one, one])));
    assert.deepEqual(await spans(), [span(-20, -10)]);
    assert.deepEqual((await listeners(db())).deaf, []);
    const [found] = (await deafnessWithin(db(), 3600)).filter(({ reason }) => reason === 'dead_letter');
    assert.deepEqual(found, { reason: 'dead_letter', spans: 1, seconds: 10 });
  });

  it('is not stored if the letter is not', async () => {
    const impossible = letter(now - 20 * S, now - 10 * S, { kind: 'far too long' as 'batch' });
    await assert.rejects(insertDeadLetters(engine.orm, [impossible]));
    assert.deepEqual(await spans(), []);
  });

  it('ends with the redrive of its letter, and with no other redrive', async () => {
    const letters = [letter(now - 30 * S, now - 20 * S), letter(now - 10 * S, now)];
    const same = letter(now - 30 * S, now - 25 * S);
    await insertDeadLetters(engine.orm, [...letters, same]);
    await settle([letters[0]!.id], 'redriven');
    assert.deepEqual(await spans(), [span(-10, 0), span(-30, -25)]);
    // An activity whose answer was lost stores the letters again. They stay redriven.
    await insertDeadLetters(engine.orm, letters);
    assert.deepEqual(await spans(), [span(-10, 0), span(-30, -25)]);
    await Promise.all([1, 2].map(() => settle([letters[1]!.id, same.id], 'redriven')));
    assert.deepEqual(await spans(), []);
  });

  it('stays when its letter is discarded, unless a redrive had stored the events', async () => {
    const one = letter(now - 20 * S, now - 10 * S);
    await insertDeadLetters(engine.orm, [one]);
    await settle([one.id], 'discarded');
    assert.deepEqual(await spans(), [span(-20, -10)]);
    await settle([one.id], 'redriven');
    assert.deepEqual(await spans(), []);
  });

  it('is shown joined with the spans that it touches, however many there are', async () => {
    const letters = Array.from({ length: 300 }, (_, n) => letter(now - (n + 1) * S, now - n * S));
    await insertDeadLetters(engine.orm, [...letters, letter(now - 400 * S, now - 390 * S)]);
    assert.deepEqual(await spans(), [span(-300, 0), span(-400, -390)]);
    await settle([letters[100]!.id], 'redriven');
    assert.deepEqual(await spans(), [span(-100, 0), span(-300, -101), span(-400, -390)]);
  });

  it('is left out if a batch has no times; its letter is stored nevertheless', async () => {
    for (const [from_at, to_at] of [
      [Number.NaN, now],
      [now, now - 1],
      [0, 1e300],
      [-1e300, now],
    ]) {
      const one = letter(from_at!, to_at!);
      await insertDeadLetters(engine.orm, [one]);
      assert.deepEqual(await settle([one.id], 'redriven'), [one.id]);
    }
    assert.deepEqual(await spans(), []);
  });

  it('shrinks to the events that a redrive could not store, until those are stored', async () => {
    const events = [now - 18 * S, now - 15 * S, now - 12 * S].map((occurred_at, n) =>
      anEvent({ source_id: 'meter', occurred_at, severity: n === 1 ? 'x'.repeat(33) : 'high' }),
    );
    const batch = { source_id: 'meter', first_sequence: 0, from_at: now - 20 * S, tick_at: now - 10 * S };
    const one = letter(batch.from_at, batch.tick_at, { content: { batch, events } });
    await insertDeadLetters(engine.orm, [one]);
    const ingest = createIngest({
      ...{ orm: engine.orm, client: undefined as never, clock: Date.now, log: silent },
      limits: { bufferEvents: 100, appendEvents: 100 },
    });
    try {
      const { redriveBatches } = createRedriveActivities({
        ...{ orm: engine.orm, ingest, clock: Date.now, retentionDays: 30 },
      });
      const redrive = (id: string) => redriveBatches({ source_id: 'meter', ids: [id] });
      const answers = await Promise.all([redrive(one.id), redrive(one.id)]);
      assert.ok(answers.every(({ failed }) => failed.length === 0));
      assert.deepEqual(await spans(), [span(-15, -15)]);
      const { rows } = await sql<{ id: string }>`
        update dead_letters set content = jsonb_set(content, '{severity}', '"high"')
        where kind = 'event' returning id`.execute(db());
      assert.equal(rows.length, 1);
      assert.deepEqual((await redrive(rows[0]!.id)).redriven, [rows[0]!.id]);
      assert.deepEqual(await spans(), []);
    } finally {
      await ingest.stop();
    }
  });

  it('is created for letters from before such spans existed', async () => {
    const batch = (from_at: unknown, tick_at: unknown) => ({ content: { batch: { from_at, tick_at } } });
    const old = (changes: Partial<NewDeadLetter>) => letter(0, 0, { ...changes, unheard: null });
    const redriven = old(batch(now - 5 * S, now - 4 * S));
    await insertDeadLetters(engine.orm, [
      ...[old(batch(now - 20 * S, now - 10 * S)), redriven],
      ...[old(batch('yesterday', now)), old({ content: 'nothing' }), old({ content: { batch: [1] } })],
      ...[old(batch(0, 1e300)), old({ ...batch(now - 3 * S, now), kind: 'event' })],
    ]);
    await settle([redriven.id], 'redriven');
    const statements: string[] = [];
    const migration = { addSql: (statement: string) => void statements.push(statement) };
    DeadLetterSpans.prototype.up.call(migration as unknown as DeadLetterSpans);
    const made = statements.filter((statement) => statement.includes('insert into deaf_spans'));
    assert.equal(made.length, 1);
    await sql.raw(made[0]!).execute(db());
    assert.deepEqual(await spans(), [span(-20, -10)]);
  });
});

describe('the deaf time of the last hour', () => {
  it('counts overlapping spans once, and only their parts within the hour', async () => {
    const engine = await Engine.start(Date.now());
    const db = sqlOf(engine.orm);
    try {
      await sql`
        insert into deaf_spans (whose, id, name, reason, from_at, to_at)
        select 'key', key, key, reason, now() - since * interval '1 s', now() - till * interval '1 s'
        from (values ('a', 'over_rate', 100, 40), ('b', 'over_rate', 80, 20), ('c', 'over_rate', 10, 5),
          ('a', 'failed', 7200, 3300), ('b', 'failed', 7200, 3700), ('a', 'gap', 60, -60))
          as given (key, reason, since, till)`.execute(db);
      const found = new Map((await deafnessWithin(db, 3600)).map((one) => [one.reason, one]));
      assert.deepEqual(found.get('over_rate'), { reason: 'over_rate', spans: 3, seconds: 85 });
      const seconds = (reason: 'failed' | 'gap') => Math.round(found.get(reason)!.seconds);
      assert.deepEqual([found.get('failed')!.spans, seconds('failed')], [1, 300]);
      assert.equal(seconds('gap'), 60);
      assert.deepEqual(found.get('disk_full'), { reason: 'disk_full', spans: 0, seconds: 0 });
    } finally {
      await engine.stop();
    }
  });
});
