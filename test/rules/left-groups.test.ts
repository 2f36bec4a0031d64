import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { settle } from '../../activities/rules/settle.ts';
import { sqlOf } from '../../db/orm.ts';
import { createRule, deleteRule } from '../../db/queries/rules/changes.ts';
import { trimCounts } from '../../db/queries/rules/counts-kept.ts';
import { failingGroups } from '../../db/queries/rules/pending.ts';
import { takeUnanswered } from '../../db/queries/rules/wake.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';
import { silent } from '../support/stage/log.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const WINDOW = 10_000;
const { definition } = aRule({ threshold: 1, definition: { group_by: ['payload.host'] } });
/** The same groups in another revision. */
const edited = { definition: { ...definition, keep_firing_seconds: 1 } };

describe('a group that cannot be judged before its revision hands over', () => {
  let engine: Engine;
  let rule: string;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
    await sql`
      create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'no incident for %', new.group_key; end $$`.execute(sqlOf(engine.orm));
    await refuse(NOON + 60_000);
    ({ id: rule } = await createRule(engine.orm, aRule({ definition }), NOON));
    await engine.arrive(rule, [tick('good'), tick('bad')]);
  });
  afterEach(() => engine.stop());

  /** Makes storing incidents of the group `bad` fail that opened before `before` (epoch ms). */
  const refuse = (before: number) =>
    sql`
      create or replace trigger refuse before insert on alert_incidents for each row
      when (new.group_key = '["bad"]' and new.opened_at < ${sql.lit(new Date(before).toISOString())}::timestamptz)
      execute function refuse()`.execute(sqlOf(engine.orm));
  const tick = (host: string) => anEvent({ occurred_at: engine.now, payload: { host } });
  /** Removes the cause of the failure, and makes the group due again. */
  const mend = async () => {
    const db = sqlOf(engine.orm);
    await sql`drop trigger refuse on alert_incidents`.execute(db);
    await sql`update pending_evaluations set retry_at = now() where retry_at is not null`.execute(db);
    assert.deepEqual(await takeUnanswered(db, 0), [rule]);
    await engine.judge(rule);
  };
  /** Opening, end, reason, revision and notices of the incidents of `bad`. */
  const told = async () =>
    Promise.all(
      (await engine.incidents(rule))
        .filter(({ groupKey }) => groupKey === '["bad"]')
        .map(async ({ id, openedAt, endedAt, resolveReason, revision }) => [
          openedAt.getTime() - NOON,
          endedAt && endedAt.getTime() - NOON,
          resolveReason,
          revision,
          await engine.notices(id),
        ]),
    );
  const failing = async () =>
    (await failingGroups(sqlOf(engine.orm))).map(({ group_key, failure }) => [group_key, failure]);
  const asFailing = [['["bad"]', 'no incident for ["bad"]']];

  it('gets its incident later, while the next revision judges the same group', async () => {
    await engine.pass(rule, NOON + 60_000);
    await engine.edit(rule, edited);
    await engine.pass(rule, NOON + 70_000);
    assert.deepEqual(await failing(), asFailing);
    await engine.arrive(rule, [tick('bad')]);
    const successor = [70_000, null, null, 2, ['opened']];
    assert.deepEqual(await told(), [successor]);
    await mend();
    assert.deepEqual(await told(), [[0, WINDOW + 1, 'recovered', 1, ['opened', 'resolved']], successor]);
    assert.deepEqual(await failing(), []);
    assert.equal(await engine.rows('rule_versions', rule), 1);
    assert.equal(await engine.counted(rule, 1), 2, 'the next revision reads what the first one counted');
    await engine.pass(rule, NOON + 200_000);
    assert.deepEqual((await told())[1], [70_000, 81_001, 'recovered', 2, ['opened', 'resolved']]);
  });

  it('gets an incident up to the change if it fired until then', async () => {
    await refuse(NOON + 5000);
    engine.now += 5000;
    await engine.edit(rule, edited);
    await engine.pass(rule, engine.now);
    const successor = [5000, null, null, 2, ['opened']];
    assert.deepEqual(await told(), [successor]);
    await mend();
    assert.deepEqual(await told(), [[0, 5000, 'rule changed', 1, ['opened', 'resolved']], successor]);
  });

  it('is judged by its own counts and events, even after further revisions', async () => {
    await engine.pass(rule, NOON + 60_000);
    await engine.edit(rule, edited);
    await engine.evaluate(rule);
    await engine.edit(rule, { definition: { ...definition, keep_firing_seconds: 2 } });
    await engine.judge(rule);
    engine.now += 60_000;
    await engine.edit(rule, { definition: { ...definition, keep_firing_seconds: 3 } });
    await engine.judge(rule);
    const revisions = await sql<{ revision: number }>`
      select revision from rule_versions where rule_id = ${rule} order by revision`.execute(
      sqlOf(engine.orm),
    );
    assert.deepEqual(
      revisions.rows.map(({ revision }) => revision),
      [1, 4],
    );
    // An event in the window that the first revision did not count, because it came after the edit.
    await engine.arrive(rule, [{ ...tick('bad'), occurred_at: NOON + 5000 }]);
    await mend();
    assert.deepEqual(await told(), [[0, WINDOW + 1, 'recovered', 1, ['opened', 'resolved']]]);
  });

  it('gets the incident of an episode that was deferred', async () => {
    await sql`drop trigger refuse on alert_incidents`.execute(sqlOf(engine.orm));
    await engine.judge(rule);
    await sql`update pending_evaluations set retry_at = now()`.execute(sqlOf(engine.orm));
    await engine.pass(rule, NOON + 60_000);
    const first = [0, WINDOW + 1, 'recovered', 1, ['opened', 'resolved']];
    assert.deepEqual(await told(), [first]);
    // The watermark stays behind, so the end of late episodes is not certain.
    engine.now = NOON + 100_000;
    await engine.arrive(rule, [tick('bad')]);
    await engine.arrive(rule, [{ ...tick('bad'), occurred_at: NOON + 70_000 }]);
    const open = [100_000, null, null, 1, ['opened']];
    assert.deepEqual(await told(), [first, open]);
    await refuse(NOON + 80_000);
    engine.now += 5000;
    await engine.edit(rule, edited);
    await engine.judge(rule);
    assert.deepEqual(await failing(), asFailing);
    await mend();
    const deferred = [70_000, 80_001, 'recovered', 1, ['opened', 'resolved']];
    assert.deepEqual(await told(), [first, deferred, [100_000, null, null, 2, ['opened']]]);
  });

  it('delays no other group, and none of its own later events', async () => {
    await refuse(NOON + 1);
    await engine.edit(rule, edited);
    await engine.pass(rule, NOON + 60_000);
    const [good] = await engine.incidents(rule);
    assert.deepEqual([good!.groupKey, good!.state, good!.revision], ['["good"]', 'resolved', 2]);
    await engine.arrive(rule, [tick('other'), tick('bad')]);
    const open = (await engine.incidents(rule)).filter(({ state }) => state === 'open');
    assert.deepEqual(
      open.map(({ groupKey }) => groupKey),
      ['["bad"]', '["other"]'],
    );
  });

  it('keeps its counts, and only those, for as long as it fails', async () => {
    await engine.pass(rule, NOON + 60_000);
    await engine.edit(rule, edited);
    await engine.judge(rule);
    await engine.arrive(rule, [tick('good')]);
    await engine.pass(rule, NOON + 2 * DAY_MS);
    await trimCounts(
      engine.orm,
      () => engine.now,
      () => {},
    );
    assert.ok((await engine.counted(rule, 1)) > 0);
    assert.equal(await engine.counted(rule, 2), 0);
    await mend();
    assert.deepEqual(await told(), [[0, WINDOW + 1, 'recovered', 1, ['opened', 'resolved']]]);
  });

  it('keeps a deleted rule until the group is judged; then the rule is removed', async () => {
    engine.now += 60_000;
    await deleteRule(engine.orm, rule, engine.now);
    const { gone, more } = await engine.evaluate(rule);
    assert.deepEqual({ gone, more }, { gone: false, more: false });
    assert.deepEqual(await failing(), asFailing);
    await mend();
    assert.deepEqual(await told(), [[0, WINDOW + 1, 'recovered', 1, ['opened', 'resolved']]]);
    for (const table of ['rule_versions', 'pending_evaluations', 'window_counts', 'rule_groups']) {
      assert.equal(await engine.rows(table, rule), 0, table);
    }
  });

  it('is given up if somebody deletes its pending evaluation', async () => {
    await engine.pass(rule, NOON + 60_000);
    await engine.edit(rule, edited);
    await engine.judge(rule);
    await sql`delete from pending_evaluations where rule_id = ${rule} and group_key = '["bad"]'`.execute(
      sqlOf(engine.orm),
    );
    await engine.judge(rule);
    assert.deepEqual(await told(), []);
    assert.equal(await engine.rows('rule_versions', rule), 1);
  });

  it('is reported with the time since which it fails', async () => {
    const [before] = await failingGroups(sqlOf(engine.orm));
    await engine.edit(rule, edited);
    await engine.judge(rule);
    await engine.edit(rule, { enabled: false });
    await engine.judge(rule);
    const after = (await failingGroups(sqlOf(engine.orm))).at(0);
    assert.equal(after!.failed_since, before!.failed_since);
    assert.ok(after!.failures > before!.failures);
  });

  it('is not handed over again by a worker that was frozen before the hand-over', async () => {
    engine.now += 5000;
    await engine.edit(rule, { definition: aRule({ threshold: 1 }).definition });
    const frozen = await engine.version(rule, 1);
    await engine.pass(rule, engine.now);
    const before = await engine.incidents(rule);
    assert.ok(before.some(({ state, revision }) => state === 'open' && revision === 2));
    const deps = { orm: engine.orm, clock: () => engine.now, log: silent };
    const { stale } = await settle(deps, frozen, await engine.version(rule, 2));
    assert.equal(stale, true);
    assert.deepEqual(await engine.incidents(rule), before);
  });
});
