import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { createRule, deleteRule } from '../../db/queries/rules/changes.ts';
import { failingGroups } from '../../db/queries/rules/pending.ts';
import { takeOutbox } from '../../db/queries/rules/wake.ts';
import { forgetIncidents } from '../../db/queries/system/forget-records.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';
import { explaining } from '../support/touched.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

describe('a group with many incidents in its past', () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.start(NOON);
  });
  after(() => engine.stop());

  const ticks = (n: number, occurred_at: number) => Array.from({ length: n }, () => anEvent({ occurred_at }));

  /** Adds old incidents that people were notified of, one per second, up to a minute ago. */
  async function addPast(ruleId: string, n: number): Promise<void> {
    await sql`
      insert into alert_incidents (id, rule_id, group_key, episode, revision, rule_name, summary, severity, state, since,
        opened_at, ended_at, recorded_at, resolved_at, resolve_reason, group_labels, labels, annotations, metadata)
      select gen_random_uuid(), ${ruleId}, '', n, 1, 'ticks', 'ticks', 'high', 'resolved', at, at, at + interval '100 ms', at,
        at, 'recovered', '{}', '{}', '{}', '{}'
      from (select n, to_timestamp(${NOON / 1000 - 60}::float8 - ${n}::int + n) as at from generate_series(1, ${n}::int) n) x`.execute(
      sqlOf(engine.orm),
    );
    await sql`analyze alert_incidents`.execute(sqlOf(engine.orm));
  }

  it('is woken and judged without reading them', async () => {
    const { id } = await createRule(engine.orm, aRule(), NOON);
    await engine.judge(id);
    await addPast(id, 30_000);
    const { orm, touched, stop } = await explaining(engine.url, 'alert_incidents');
    try {
      const ids = await engine.append(ticks(3, NOON));
      await takeOutbox(sqlOf(orm), ids);
      await engine.judge(id, orm);
      engine.now = NOON + 20_000;
      await engine.sweep(engine.now);
      await engine.judge(id, orm);
    } finally {
      await stop();
    }
    const [latest] = (await engine.incidents(id)).slice(-1);
    assert.deepEqual([latest?.episode, latest?.state], [30_001, 'resolved']);
    assert.ok(touched.length >= 5, `${touched.length} statements`);
    for (const { text, blocks } of touched) assert.ok(blocks < 150, `${blocks} blocks: ${text}`);
  });

  it('of a deleted rule loses even the last of them, once they are old', async () => {
    const { id } = await createRule(engine.orm, aRule({ name: 'gone' }), engine.now);
    await engine.judge(id);
    await engine.arrive(id, ticks(3, engine.now));
    engine.now += 60_000;
    await engine.settle(id);
    await deleteRule(engine.orm, id, engine.now);
    await engine.judge(id);
    await sql`update notices set done = true`.execute(sqlOf(engine.orm));
    const [left] = await engine.incidents(id);
    await forgetIncidents(sqlOf(engine.orm), left!.resolvedAt!.getTime() - DAY_MS);
    assert.equal((await engine.incidents(id)).length, 1);
    await forgetIncidents(sqlOf(engine.orm), engine.now + 1);
    assert.equal((await engine.incidents(id)).length, 0);
  });
});

describe('groups that wait to be judged', () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.start(NOON);
  });
  after(() => engine.stop());

  const tick = (host: string, occurred_at: number) => anEvent({ occurred_at, payload: { host } });
  const grouped = (name: string) =>
    aRule({ name, threshold: 1, definition: { group_by: ['payload.host'], event_type: name } });
  const of = (name: string, hosts: string[]) =>
    hosts.map((host) => ({ ...tick(host, engine.now), event_type: name }));

  it('are judged in the order in which they began to wait, whatever their keys', async () => {
    const { id } = await createRule(engine.orm, grouped('order'), NOON);
    await engine.judge(id);
    await engine.wake(await engine.append(of('order', ['z'])));
    const busy = Array.from({ length: 300 }, (_, n) => `a-${n}`);
    await engine.wake(await engine.append(of('order', busy)));
    // One pass takes 200 groups. Groups that it took go to the end of the queue, even if they must be judged
    // again.
    let passes = 0;
    await engine
      .judgeWith(id, () => {
        if (++passes === 2) throw new Error('enough');
      })
      .catch(() => {});
    const opened = (await engine.incidents(id)).map(({ groupKey }) => groupKey);
    assert.ok(opened.includes('["z"]'), `${opened.length} opened`);
  });

  it('are judged even if one of them always fails', async () => {
    const db = sqlOf(engine.orm);
    await sql`
      create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'no incident for %', new.group_key; end $$`.execute(db);
    await sql`
      create trigger refuse before insert on alert_incidents for each row when (new.group_key = '["bad"]')
      execute function refuse()`.execute(db);
    const { id } = await createRule(engine.orm, grouped('bad'), engine.now);
    await engine.judge(id);
    const logged: unknown[] = [];
    engine.log = { error: (detail: unknown) => logged.push(detail) } as unknown as typeof engine.log;
    await engine.wake(await engine.append(of('bad', ['a', 'b', 'bad', 'c', 'd'])));
    await engine.judge(id);
    const opened = (await engine.incidents(id)).map(({ groupKey }) => groupKey);
    assert.deepEqual(opened, ['["a"]', '["b"]', '["c"]', '["d"]']);
    assert.equal(logged.length, 1);
    assert.deepEqual((logged[0] as { group: string }).group, '["bad"]');
    const failing = await failingGroups(db);
    assert.deepEqual(
      failing.map(({ rule_name, group_key, failure }) => ({ rule_name, group_key, failure })),
      [{ rule_name: 'bad', group_key: '["bad"]', failure: 'no incident for ["bad"]' }],
    );
    // The group is deferred, not forgotten.
    await sql`drop trigger refuse on alert_incidents`.execute(db);
    await sql`update pending_evaluations set retry_at = now()`.execute(db);
    await engine.judge(id);
    assert.equal((await engine.incidents(id)).length, 5);
    assert.deepEqual(await failingGroups(db), []);
  });

  it('that failed are tried once more before a changed rule hands over', async () => {
    const db = sqlOf(engine.orm);
    await sql`
      create or replace trigger refuse before insert on alert_incidents for each row
      when (new.group_key in ('["mended"]', '["hopeless"]')) execute function refuse()`.execute(db);
    const { id } = await createRule(engine.orm, grouped('left'), engine.now);
    await engine.judge(id);
    const logged: { groups?: string[] }[] = [];
    engine.log = {
      error: (detail: { groups?: string[] }) => logged.push(detail),
    } as unknown as typeof engine.log;
    await engine.wake(await engine.append(of('left', ['mended', 'hopeless'])));
    await engine.judge(id);
    assert.equal((await failingGroups(db)).length, 2);
    // The cause is gone for one of the groups, long before it would be tried again.
    await sql`
      create or replace trigger refuse before insert on alert_incidents for each row
      when (new.group_key = '["hopeless"]') execute function refuse()`.execute(db);
    engine.now += 60_000;
    await engine.edit(id, { enabled: false });
    await engine.judge(id);
    const opened = await engine.incidents(id);
    assert.deepEqual(
      opened.map(({ groupKey, state }) => [groupKey, state]),
      [['["mended"]', 'resolved']],
    );
    assert.deepEqual(
      logged.flatMap(({ groups }) => groups ?? []),
      ['["hopeless"]'],
    );
    // The other group is tried again later.
    assert.deepEqual(
      (await failingGroups(db)).map(({ group_key }) => group_key),
      ['["hopeless"]'],
    );
    await sql`drop trigger refuse on alert_incidents`.execute(db);
  });
});
