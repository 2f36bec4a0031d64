import assert from 'node:assert/strict';
import { Client, Connection } from '@temporalio/client';
import { sql } from 'kysely';
import { IncidentEntity } from '../../../db/entities/incident.ts';
import { connect, sqlOf } from '../../../db/orm.ts';
import { activeAlerts } from '../../../db/queries/received-alerts/reads.ts';
import type { ReceivedAlert } from '../../../domain/received-alerts/alert.ts';
import type { LabelMatcher } from '../../../domain/received-alerts/label-matcher.ts';
import { RECEIVING_RULES } from '../../../domain/received-alerts/protocols.ts';
import { MatcherError } from '../../../domain/rules/matcher.ts';
import { type AlertReceiver, createAlertReceiver } from '../../../ingest/alerts/receive.ts';
import { createIngest } from '../../../ingest/ingest.ts';
import { DiskFull, StoreUnavailable } from '../../../ingest/outcome.ts';
import { DiskGuard } from '../../../process/disk/guard.ts';
import { firing, paged, resolved } from '../../support/alerts.ts';
import { freshDatabase } from '../../support/servers.ts';
import { silent } from '../../support/stage/log.ts';

const NOON = Date.UTC(2026, 10, 24, 12);
const { alertmanager, pagerduty } = RECEIVING_RULES;

/** Temporal is down in all of these tests. Receiving must work regardless. */
describe('receiving alerts', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let orm: Awaited<ReturnType<typeof connect>>;
  let ingest: ReturnType<typeof createIngest>;
  let receiver: AlertReceiver;
  let now: number;
  const clock = () => now;
  const client = new Client({ connection: Connection.lazy({ address: '127.0.0.1:1' }) });
  client.withDeadline = async () => {
    throw new Error('nobody answers');
  };

  beforeEach(async () => {
    now = NOON;
    database = await freshDatabase();
    orm = await connect(database.url, 8);
    ingest = createIngest({
      orm,
      client,
      clock,
      log: silent,
      limits: { bufferEvents: 20_000, appendEvents: 2000 },
    });
    receiver = createAlertReceiver({ orm, ingest, client, clock, log: silent });
  });
  afterEach(async () => {
    await receiver.stop();
    await ingest.stop();
    await orm.close(true);
    await database.drop();
  });

  const receive = (...alerts: ReceivedAlert[]) => receiver.receive(alerts, 'ada');
  const count = async (table: string) =>
    (await sql<{ n: number }>`select count(*)::int as n from ${sql.table(table)}`.execute(sqlOf(orm)))
      .rows[0]!.n;
  const events = async () =>
    (
      await sql<{ event_type: string; source_id: string; at: number; payload: Record<string, unknown> }>`
        select event_type, source_id, extract(epoch from occurred_at)::float8 * 1000 as at, payload from events order by occurred_at, event_type`.execute(
        sqlOf(orm),
      )
    ).rows;
  const typesOf = async () => (await events()).map(({ event_type }) => event_type);

  it('stores alerts, notes them for judging, and stores an event about each change', async () => {
    assert.deepEqual(
      await receive(firing(NOON - 40 * 86_400_000, { ends_at: NOON + 60_000 }), paged('trigger', NOON)),
      [
        { status: 'accepted', outcome: 'opened' },
        { status: 'accepted', outcome: 'opened' },
      ],
    );
    assert.equal(await count('received_alerts'), 2);
    assert.equal(await count('pending_evaluations'), 2);
    const [first] = (await events()).filter(({ source_id }) => source_id === 'alertmanager');
    assert.equal(first?.event_type, 'alert.firing');
    assert.equal(first.at, NOON, 'it happened when it came');
    assert.equal(first.payload.starts_at, new Date(NOON - 40 * 86_400_000).toISOString());
    assert.deepEqual(first.payload.labels, firing(NOON).labels);
    assert.equal(await count('received_events'), 0, 'none waits to be stored');
  });

  it('treats fifty messages about one new alert at once as one', async () => {
    const others = [1, 2, 3].map(() => createAlertReceiver({ orm, ingest, client, clock, log: silent }));
    const all = [receiver, ...others];
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        all[i % all.length]!.receive([firing(NOON - i, { ends_at: NOON + 60_000 })], 'ada'),
      ),
    );
    for (const other of others) await other.stop();
    const outcomes = results.flat().map((result) => result.status === 'accepted' && result.outcome);
    assert.equal(outcomes.filter((outcome) => outcome === 'opened').length, 1);
    assert.equal(outcomes.filter((outcome) => outcome === 'refreshed').length, 49);
    const { rows } = await sql<{ at: number }>`select starts_at::float8 as at from received_alerts`.execute(
      sqlOf(orm),
    );
    assert.deepEqual(rows, [{ at: NOON - 49 }], 'the earliest start');
    assert.deepEqual(await typesOf(), ['alert.firing']);
  });

  it('stores batches that share alerts in any order without a deadlock', async () => {
    const batch = Array.from({ length: 40 }, (_, i) =>
      firing(NOON, { labels: { alertname: 'Down', i: `${i}` } }),
    );
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, i) => receiver.receive(i % 2 ? batch : [...batch].reverse(), 'ada')),
    );
    assert.ok(results.flat().every(({ status }) => status === 'accepted'));
    assert.equal(await count('received_alerts'), 40);
    assert.equal(await count('events'), 40);
  });

  it('writes only the alert when it is repeated', async () => {
    await receive(firing(NOON));
    const pending = await sql`select * from pending_evaluations`.execute(sqlOf(orm));
    now += 60_000;
    assert.deepEqual(await receive(firing(NOON, { ends_at: now + 240_000 })), [
      { status: 'accepted', outcome: 'refreshed' },
    ]);
    assert.deepEqual((await sql`select * from pending_evaluations`.execute(sqlOf(orm))).rows, pending.rows);
    assert.deepEqual(await typesOf(), ['alert.firing']);
    const { rows } =
      await sql`select ends_at::float8 as ends_at, updated_at::float8 as updated_at from received_alerts`.execute(
        sqlOf(orm),
      );
    assert.deepEqual(rows, [{ ends_at: now + 240_000, updated_at: now }]);
  });

  it('ignores the end of an unknown alert, except for one event, however often it is repeated', async () => {
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await receive(resolved(NOON - 60_000, NOON)), [
        { status: 'accepted', outcome: 'ignored' },
      ]);
      now += 60_000;
    }
    assert.equal(await count('received_alerts'), 0);
    assert.equal(await count('pending_evaluations'), 0);
    assert.deepEqual(await typesOf(), ['alert.resolved']);
  });

  it('stores firing, acknowledged and resolved once each', async () => {
    for (const action of ['trigger', 'acknowledge', 'resolve'] as const) {
      now += 1000;
      for (let i = 0; i < 2; i++) await receive(paged(action, now));
    }
    assert.deepEqual(await typesOf(), ['alert.firing', 'alert.acknowledged', 'alert.resolved']);
    assert.ok((await events()).every(({ payload }) => payload.dedup_key === 'db-1/disk'));
  });

  it('says what is wrong with one alert, and stores the others', async () => {
    const bad: [Partial<ReceivedAlert>, string][] = [
      [{ key: 'k'.repeat(401) }, 'key'],
      [{ ends_at: NOON - 1 }, 'ends_at'],
      [{ starts_at: -1 }, 'starts_at'],
      [{ ends_at: 8.64e15 }, 'ends_at'],
      [{ starts_at: Number.NaN }, 'starts_at'],
      [{ severity: 'x'.repeat(33) }, 'severity'],
    ];
    const results = await receive(
      ...bad.map(([changes]) => firing(NOON, { ...changes, ...(changes.labels ? { key: 'other' } : {}) })),
      firing(NOON),
    );
    for (const [i, [, field]] of bad.entries()) {
      const result = results[i]!;
      assert.ok(result.status === 'invalid', `${i}`);
      assert.equal(result.errors[0]?.field, field);
      assert.ok(result.errors[0].reason.length > 0);
    }
    assert.deepEqual(results.at(-1), { status: 'accepted', outcome: 'opened' });
    assert.equal(await count('received_alerts'), 1);
  });

  it('treats an alert that starts in the future as firing now, because the sender’s clock is wrong', async () => {
    const ahead = firing(now + 600_000, { ends_at: now + 900_000 });
    assert.deepEqual(await receive(ahead), [{ status: 'accepted', outcome: 'opened' }]);
    const [alert] = (
      await activeAlerts(sqlOf(orm), { protocol: 'alertmanager', matchers: [], now, limit: 9 })
    ).alerts;
    assert.equal(alert!.starts_at, now);
    now += 60_000;
    const again = await receive({ ...ahead, ends_at: now + 900_000 });
    assert.deepEqual(again, [{ status: 'accepted', outcome: 'refreshed' }]);
  });

  it('alerts with invalid or too long texts are accepted: texts are repaired and cut', async () => {
    const annotations = { stack: 'at f()\n'.repeat(40_000), nul: 'a\0b', half: 'x\ud800' };
    const page = paged('trigger', now, { summary: 'nul \0', annotations });
    const many = Array.from({ length: 30_000 }, (_, i) => [`k${i}`, 'x'] as const);
    const wide = paged('trigger', now, { key: 'key-1/wide', annotations: Object.fromEntries(many) });
    for (const result of await receive(page, wide)) assert.equal(result.status, 'accepted');
    const { rows } = await sql<{ summary: string; annotations: Record<string, string> }>`
      select summary, annotations from received_alerts order by key`.execute(sqlOf(orm));
    assert.equal(rows[0]!.summary, 'nul \ufffd');
    assert.match(rows[0]!.annotations.stack!, /… \[cut from 280000 characters\]$/);
    assert.deepEqual([rows[0]!.annotations.nul, rows[0]!.annotations.half], ['a\ufffdb', 'x\ufffd']);
    assert.deepEqual(rows[1]!.annotations, { cut: '30000 annotations were too large to store' });
  });

  it('keeps labels that are named like properties of every object', async () => {
    const labels = JSON.parse('{"__proto__":"a","constructor":"b"}') as Record<string, string>;
    assert.deepEqual(await receive(firing(NOON, { labels })), [{ status: 'accepted', outcome: 'opened' }]);
    const { alerts } = await activeAlerts(sqlOf(orm), {
      protocol: 'alertmanager',
      matchers: [],
      now,
      limit: 10,
    });
    assert.deepEqual(Object.entries(alerts[0]!.labels).sort(), [
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });

  it('leaves events that could not be stored to the next round, which stores them once', async () => {
    const broken = createAlertReceiver({
      ...{ orm, client, clock, log: silent },
      ingest: { claimTimes: ingest.claimTimes, accept: () => Promise.reject(new StoreUnavailable('away')) },
    });
    await broken.receive([firing(NOON)], 'ada');
    await broken.stop();
    assert.equal(await count('received_events'), 1);
    assert.equal(await count('received_alerts'), 1, 'the alert is on record all the same');
    await receiver.storeLeftovers(0);
    await receiver.storeLeftovers(0);
    assert.deepEqual(await typesOf(), ['alert.firing']);
    assert.equal(await count('received_events'), 0);
  });

  it('throws StoreUnavailable if PostgreSQL is down', async () => {
    const nowhere = await connect('postgresql://nobody@127.0.0.1:1/nowhere', 1);
    const away = createAlertReceiver({ orm: nowhere, ingest, client, clock, log: silent });
    await assert.rejects(away.receive([firing(NOON)], 'ada'), StoreUnavailable);
    await away.stop();
    await nowhere.close(true);
  });

  describe('while PostgreSQL’s disk is full', () => {
    let free: number;
    let disk: DiskGuard;
    let guarded: AlertReceiver;
    beforeEach(() => {
      free = 50;
      disk = new DiskGuard({
        measure: async () => ({ free: free * 2 ** 30, total: 100 * 2 ** 30, knownBy: 'path' }),
        limits: { warnPercent: 15, refusePercent: 5 },
        clock,
        log: silent,
      });
      guarded = createAlertReceiver({ orm, ingest, disk, client, clock, log: silent });
    });
    afterEach(() => guarded.stop());

    it('refuses alerts, and stores them again once there is space', async () => {
      free = 1;
      await disk.look();
      assert.throws(() => guarded.requireRoom(), DiskFull);
      await assert.rejects(guarded.receive([firing(NOON)], 'ada'), DiskFull);
      assert.equal(await count('received_alerts'), 0);
      free = 50;
      await disk.look();
      guarded.requireRoom();
      await guarded.receive([firing(NOON)], 'ada');
      assert.equal(await count('received_alerts'), 1);
    });

    it('reports that also if PostgreSQL noticed it first, and does not ask it again at once', async () => {
      await sql`create function refuse() returns trigger language plpgsql as
        $$begin raise exception 'could not extend file' using errcode = '53100'; end$$`.execute(sqlOf(orm));
      await sql`create trigger full_disk before insert on received_alerts for each row execute function refuse()`.execute(
        sqlOf(orm),
      );
      await disk.look();
      await assert.rejects(guarded.receive([firing(NOON)], 'ada'), DiskFull);
      assert.equal(disk.report().state, 'full');
      await sql`drop trigger full_disk on received_alerts`.execute(sqlOf(orm));
      await assert.rejects(guarded.receive([firing(NOON)], 'ada'), DiskFull);
      now += 31_000;
      await guarded.receive([firing(NOON)], 'ada');
      assert.equal(await count('received_alerts'), 1);
    });
  });

  it('stores ten thousand alerts, and their refreshes in far less than the minute between them', async function () {
    this.timeout(120_000);
    const send = (at: number) =>
      Array.from({ length: 10_000 }, (_, i) =>
        firing(NOON, { labels: { alertname: 'Down', i: `${i}` }, ends_at: at + 240_000 }),
      );
    await receiver.receive(send(now), 'ada');
    now += 60_000;
    const before = performance.now();
    const results = await receiver.receive(send(now), 'ada');
    const took = performance.now() - before;
    assert.ok(results.every((result) => result.status === 'accepted' && result.outcome === 'refreshed'));
    assert.ok(took < 30_000, `${took} ms`);
    if (process.env.MEASURE) console.log(`10,000 refreshes: ${Math.round(took)} ms`);
    assert.equal(await count('events'), 10_000);
  });

  describe('reading active alerts', () => {
    const read = async (matchers: LabelMatcher[], limit = 100) => {
      const found = await activeAlerts(sqlOf(orm), { protocol: 'alertmanager', matchers, now, limit });
      return { hosts: found.alerts.map(({ labels }) => labels.host).sort(), more: found.more };
    };
    beforeEach(() =>
      receive(
        ...['db-1', 'db-2', 'web-1'].map((host) => firing(NOON, { labels: { alertname: 'Down', host } })),
        paged('trigger', NOON),
      ),
    );

    it('finds them by their labels, and missing labels count as empty', async () => {
      assert.deepEqual((await read([])).hosts, ['db-1', 'db-2', 'web-1']);
      assert.deepEqual((await read([{ name: 'host', op: '=', value: 'db-1' }])).hosts, ['db-1']);
      assert.deepEqual((await read([{ name: 'host', op: '!=', value: 'db-1' }])).hosts, ['db-2', 'web-1']);
      assert.deepEqual((await read([{ name: 'host', op: '=~', value: 'db-.' }])).hosts, ['db-1', 'db-2']);
      assert.deepEqual((await read([{ name: 'host', op: '=~', value: 'db' }])).hosts, [], 'anchored');
      assert.deepEqual((await read([{ name: 'host', op: '!~', value: 'db-.*' }])).hosts, ['web-1']);
      assert.equal((await read([{ name: 'team', op: '=', value: '' }])).hosts.length, 3);
    });

    it('says that there are more than requested, and what is wrong with a pattern', async () => {
      assert.deepEqual((await read([], 2)).more, true);
      assert.deepEqual((await read([], 3)).more, false);
      await assert.rejects(read([{ name: 'host', op: '=~', value: '(' }]), MatcherError);
    });

    it('no longer finds an alert that is over', async () => {
      now += 1000;
      await receive(resolved(NOON, now, { labels: { alertname: 'Down', host: 'db-1' } }));
      assert.deepEqual((await read([])).hosts, ['db-2', 'web-1']);
    });
  });

  it('opens no incident by itself, because the rules’ workflows do that', async () => {
    await receive(firing(NOON), paged('trigger', NOON));
    assert.equal(await orm.em.fork().count(IncidentEntity), 0);
    const { rows } = await sql<{
      rule_id: string;
    }>`select rule_id from pending_evaluations order by 1`.execute(sqlOf(orm));
    assert.deepEqual(
      rows.map(({ rule_id }) => rule_id),
      [alertmanager, pagerduty],
    );
  });
});
