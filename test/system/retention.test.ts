import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { listDeadLetters } from '../../db/queries/dead-letters/reads.ts';
import {
  insertDeadLetters,
  type NewDeadLetter,
  settleDeadLetters,
} from '../../db/queries/dead-letters/writes.ts';
import { AUDIT_DAYS, insertAudit } from '../../db/queries/keys/audit.ts';
import { insertSession } from '../../db/queries/keys/sessions.ts';
import { createRule, deleteRule } from '../../db/queries/rules/changes.ts';
import { forgetIdleGroups } from '../../db/queries/rules/forget-groups.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';
import { waitFor } from '../support/wait-for.ts';
import { count, NOON, tidy } from './tidying.ts';

const ID = '00000000-0000-4000-8000-000000000001';

describe('housekeeping', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  it('removes ended sessions, and audit entries after 400 days', async () => {
    const hour = 3600_000;
    const key = (hash: string, expiresAt: number) => ({ hash, keyId: ID, now: NOON - hour, expiresAt });
    await insertSession(engine.orm, key('ended', NOON - 1));
    await insertSession(engine.orm, key('open', NOON + hour));
    await createRule(engine.orm, aRule(), NOON);
    await createRule(engine.orm, aRule(), NOON);
    await sql`
      update rule_changes set at = at - interval '2 days' where version = (select min(version) from rule_changes)`.execute(
      sqlOf(engine.orm),
    );
    for (const days of [0, AUDIT_DAYS - 1, AUDIT_DAYS + 1]) {
      await insertAudit(engine.orm, {
        ...{ id: crypto.randomUUID(), at: new Date(NOON - days * DAY_MS), principal: 'ada' },
        ...{
          principalId: null,
          address: null,
          action: 'POST /alerts',
          target: '/alerts',
          detail: {},
          status: 201,
        },
      });
    }
    await tidy(engine);
    const { rows } = await sql<{ hash: string }>`select hash from sessions`.execute(sqlOf(engine.orm));
    assert.deepEqual(rows, [{ hash: 'open' }]);
    assert.equal(await count(engine, 'audit_log'), 2);
    assert.equal(await count(engine, 'rule_changes'), 1);
  });

  it('removes groups that were idle for long, so that others are admitted', async () => {
    const input = aRule({ definition: { group_by: ['payload.host'], max_groups: 2 } });
    const { id } = await createRule(engine.orm, input, NOON);
    await engine.judge(id);
    const hosts = (...names: string[]) =>
      names.map((host) => anEvent({ occurred_at: engine.now, payload: { host } }));
    await engine.arrive(id, hosts('a', 'b', 'c', 'c', 'c'));
    await engine.pass(id, NOON + 60_000);
    await tidy(engine);
    await engine.arrive(id, hosts('d', 'd', 'd'));
    const keys = async () => (await engine.incidents(id)).map(({ groupKey }) => groupKey);
    assert.deepEqual(await keys(), ['*', '*']);
    await engine.pass(id, NOON + 120_000);

    // The appending process is running and must learn of the change.
    engine.now += 4 * DAY_MS;
    await engine.arrive(id, hosts('b'));
    await tidy(engine);
    await engine.arrive(id, hosts('d', 'd', 'd'));
    assert.deepEqual(await keys(), ['*', '*', '["d"]']);
    await engine.arrive(id, hosts('e', 'e', 'e'));
    assert.deepEqual((await keys()).sort(), ['*', '*', '*', '["d"]'].sort(), 'b was still counted');
  });

  it('lets appends continue and count exactly while it removes groups', async () => {
    const definition = { group_by: ['payload.host'], max_groups: 500, allowed_lateness_seconds: 0 };
    const { id } = await createRule(engine.orm, aRule({ definition }), NOON);
    await engine.judge(id);
    const names = Array.from({ length: 500 }, (_, i) => `h${i}`);
    const hosts = (some: readonly string[]) =>
      some.map((host) => anEvent({ occurred_at: engine.now, payload: { host } }));
    await engine.arrive(id, hosts(names));
    await engine.pass(id, NOON + 60_000);
    engine.now += 4 * DAY_MS;
    await sql`delete from window_counts`.execute(sqlOf(engine.orm));
    // Before each commit, another process counts for a group that it knew and for a new one.
    const other = engine.newAppend();
    await other.run(hosts(['h499']));
    let n = 0;
    const appended: string[] = [];
    await forgetIdleGroups(
      engine.hooked(async () => {
        const some = [`h${n}`, `new-${n}`];
        n++;
        const append = other.run(hosts(some));
        await engine.doneOrBlocked(append);
        void append.then(() => appended.push(...some));
      }),
    );
    await waitFor(() => appended.length === 2 * n, { what: 'the appends to be done' });
    assert.ok(n >= 5, `${n} commits`);
    const counted = await sql<{ group_key: string; known: boolean }>`
      select distinct c.group_key, g.group_key is not null as known
      from window_counts c left join rule_groups g using (rule_id, group_key)
      where c.group_key <> '*'`.execute(sqlOf(engine.orm));
    assert.deepEqual(
      counted.rows.filter(({ known }) => !known),
      [],
      'counted for, but not admitted',
    );
    assert.ok((await engine.rows('rule_groups', id)) < 50);
    const { rows } = await sql`select from rule_versions where forgetting`.execute(sqlOf(engine.orm));
    assert.equal(rows.length, 0);
  });

  it('removes dead letters that have not changed for as long as events are kept', async () => {
    const letter = (daysAgo: number): NewDeadLetter => ({
      ...{
        id: crypto.randomUUID(),
        source_id: 'source',
        kind: 'batch',
        failure: 'transient',
        reason: 'away',
      },
      ...{ field: null, content: {}, event_count: 1, created_at: NOON - daysAgo * DAY_MS, unheard: null },
    });
    const [old, settled, young] = [letter(9), letter(9), letter(6)];
    await insertDeadLetters(engine.orm, [old, settled, young]);
    await settleDeadLetters(engine.orm, {
      sourceId: 'source',
      ids: [settled.id],
      state: 'redriven',
      at: NOON - DAY_MS,
    });
    await tidy(engine);
    const left = async () => (await listDeadLetters(engine.orm, {}, { limit: 9 })).map(({ id }) => id).sort();
    assert.deepEqual(await left(), [settled.id, young.id].sort());
    engine.now += 8 * DAY_MS;
    await tidy(engine);
    assert.deepEqual(await left(), []);
  });

  it('removes resolved incidents with their timelines, but never the last one of a group', async () => {
    const { id } = await createRule(engine.orm, aRule({ window: 10 }), NOON);
    await engine.judge(id);
    const ticks = () => [0, 1, 2].map(() => anEvent({ occurred_at: engine.now }));
    for (let episode = 0; episode < 3; episode++) {
      await engine.arrive(id, ticks());
      await engine.pass(id, engine.now + 60_000);
    }
    const db = sqlOf(engine.orm);
    const [first, second, last] = (await engine.incidents(id)).map((incident) => incident.id);
    await sql`update notices set done = incident_id <> ${second}::uuid`.execute(db);
    const ids = async () => (await engine.incidents(id)).map((incident) => incident.id);
    await tidy(engine);
    assert.deepEqual(await ids(), [first, second, last]);
    engine.now += 21 * DAY_MS;
    await tidy(engine);
    assert.deepEqual(await ids(), [second, last], 'one has a notice that nobody got yet');
    for (const table of ['incident_timeline', 'notices']) {
      const { rows } = await sql`select from ${sql.table(table)} where incident_id = ${first}`.execute(db);
      assert.equal(rows.length, 0, table);
    }
    await sql`update notices set done = true`.execute(db);
    await tidy(engine);
    assert.deepEqual(await ids(), [last]);
    await engine.arrive(id, ticks());
    const again = (await engine.incidents(id)).map((incident) => incident.id);
    assert.ok(!again.includes(first!) && !again.includes(second!), 'an id came again');

    await deleteRule(engine.orm, id, engine.now);
    await engine.judge(id);
    await sql`update notices set done = true`.execute(db);
    engine.now += 21 * DAY_MS;
    await tidy(engine);
    assert.deepEqual(await ids(), []);
  });
});
