import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { ApiDeps } from '../../../api/deps.ts';
import { assess } from '../../../api/resources/system/status.ts';
import { connect } from '../../../db/orm.ts';
import type { FailingGroup } from '../../../db/queries/rules/pending.ts';
import type { Round } from '../../../db/queries/system/housekeeping-rounds.ts';
import type { SystemState } from '../../../db/queries/system/status.ts';
import type { DeafSpan } from '../../../domain/system/deafness.ts';
import type { DiskReport } from '../../../process/disk/guard.ts';
import { deadLetterWorkflow } from '../../../workflows/startable.ts';
import { freshDatabase } from '../../support/servers.ts';
import { waitFor } from '../../support/wait-for.ts';
import { stage } from '../stage.ts';

describe('health of the API', () => {
  it('the API is alive and ready, and says what is missing for alerting', async () => {
    const api = await stage({ temporal: 'idle' });
    try {
      assert.deepEqual((await api.get('/livez')).body, { status: 'ok' });
      assert.deepEqual((await api.get('/health')).body, { status: 'ok' });
      assert.deepEqual((await api.get('/readyz')).body, { status: 'ready' });
      const { status, body } = await api.get('/status');
      assert.equal(status, 200);
      assert.equal(body.status, 'impaired');
      assert.equal(body.workers, false);
      assert.ok(body.temporal.reachable);
      assert.ok(body.impaired.includes('no channel is configured: nobody is notified of incidents'));
      assert.ok(body.impaired.includes('no rules worker is alive'));
    } finally {
      await api.close();
    }
  });

  it('says for how many sources only Temporal holds dead letters', async () => {
    const api = await stage({ temporal: 'idle' });
    const held = async () => (await api.get('/status')).body.temporal.dead_letter_sources;
    try {
      assert.equal(await held(), 0);
      const { type, ...options } = deadLetterWorkflow('source-1');
      await api.client.workflow.start(type, options);
      await waitFor(async () => (await held()) === 1, { what: 'the workflow to be counted' });
    } finally {
      await api.close();
    }
  });

  it('the API is ready without Temporal, and says that alerting is impaired', async () => {
    const api = await stage();
    try {
      assert.equal((await api.get('/readyz')).status, 200);
      const { status, body } = await api.get('/status');
      assert.equal(status, 200);
      assert.deepEqual(body.temporal, { reachable: false, dead_letter_sources: null });
      assert.match(body.impaired.join(), /Temporal does not answer/);
    } finally {
      await api.close();
    }
  });

  it('the API is alive but not ready without PostgreSQL, and every read answers 503', async () => {
    const away = await connect('postgresql://tocsin:secret@127.0.0.1:1/tocsin', 2);
    const api = await stage({ change: () => ({ orm: away }) });
    try {
      assert.equal((await api.get('/livez')).status, 200);
      assert.equal((await api.get('/health')).status, 200);
      assert.equal((await api.get('/readyz')).status, 503);
      const { status, body } = await api.get('/status');
      assert.deepEqual([status, body.status, body.postgres.reachable], [503, 'down', false]);
      for (const path of [
        '/events',
        '/alerts',
        '/incidents',
        '/producers',
        '/dead-letters',
        '/analytics/summary',
      ]) {
        const answer = await api.get(path);
        assert.equal(answer.status, 503, path);
        assert.doesNotMatch(JSON.stringify(answer.body), /secret|127\.0\.0\.1/);
      }
      const rule = { name: 'abc', threshold_count: 1, window_seconds: 1 };
      assert.equal((await api.post('/alerts', rule)).status, 503);
    } finally {
      await api.close();
      await away.close(true);
    }
  });

  it('the API is not ready with a schema that lacks a migration', async () => {
    const database = await freshDatabase();
    const orm = await connect(database.url, 2);
    const api = await stage({ change: () => ({ orm }) });
    try {
      await orm.em
        .fork()
        .getConnection()
        .execute('delete from migrations where id = (select max(id) from migrations)');
      const { status, body } = await api.get('/readyz');
      assert.equal(status, 503);
      assert.match(body.detail, /lacks migrations/);
    } finally {
      await api.close();
      await orm.close(true);
      await database.drop();
    }
  });
});

describe('reasons for an impaired status', () => {
  const now = 1_800_000_000_000;
  const calm: SystemState = {
    ...{ now, watermark: now - 1000 },
    ...{
      outbox: 0,
      outbox_age: null,
      evaluations: 0,
      evaluations_age: null,
      rules_not_ready: 0,
      groups_failing: 0,
    },
    ...{ notices: 0, notices_age: null, dead_letters: 0, incidents_open: 0, incidents_acknowledged: 0 },
  };
  const roomy: DiskReport = {
    state: 'ok',
    ...{ free_bytes: 2 ** 33, total_bytes: 2 ** 36, known_by: 'path', measured_at: now },
  };
  const process = (role: string, beat_at = now - 500) => ({
    ...{ id: `a-${role}`, role, beat_at, started_at: now - 60_000, in_flight: 0, buffered: 0, ended: false },
  });
  const round = (step: string, changes: Partial<Round> = {}): Round => ({
    ...{ step, started_at: now - 31_000, ended_at: now - 30_000, succeeded_at: now - 30_000 },
    ...{ error: null, found: {} },
    ...changes,
  });
  const wedged = {
    wedged: [{ workflow_id: 'rule/1', attempts: 12, reason: '[TMPRL1100] Nondeterminism error' }],
  };
  const old = { succeeded_at: now - 400_000, error: 'lock timeout' };
  const everyRole = ['api', 'ingest', 'rules', 'incidents', 'notify'].map((role) => process(role));
  const listening = { id: 'gone', role: 'api', started_at: now - 60_000, beat_at: now - 70_000 };
  const quiet = { ...listening, oldest_unappended: null, ended: false, retired: false };
  const beating = { ...quiet, id: 'here', role: 'ingest', beat_at: now - 500 };
  const hasty = (from_at: number): DeafSpan => ({
    ...{ whose: 'key', id: 'k', name: 'scanner', reason: 'over_rate', from_at },
    ...{ to_at: now, held_until: now + 15_000 },
  });
  const look = (
    state: Partial<SystemState> = {},
    processes = everyRole,
    temporal: boolean | 'uncounted' = true,
    producers: { id: string; appended_through: number }[] = [],
    disk: Partial<DiskReport> = {},
    deaf: DeafSpan[] = [],
    failing: FailingGroup[] = [],
    rounds = [round('partitions'), round('workflows')],
  ) => {
    const listeners = { processes: [quiet, beating], producers, deaf, patience: 0 };
    const database = { state: { ...calm, ...state }, processes, listeners, deaf, failing, rounds };
    const answer = {
      reachable: temporal !== false,
      dead_letter_sources: temporal === true ? 0 : null,
    };
    return assess(now, database, answer, ['hook'], { ...roomy, ...disk });
  };

  it('no reason is given while everything runs', () => {
    assert.deepEqual([look().status, look().impaired, look().workers], ['ok', [], true]);
  });

  it('a group that cannot be judged is a reason', () => {
    const failing = {
      ...{ rule_id: 'r', rule_name: 'Failed logins', group_key: '["web-1"]' },
      ...{ failures: 3, failure: 'out of range', failed_since: now - 60_000, retry_at: now },
    };
    const { status, impaired } = look({}, everyRole, true, [], {}, [], [failing]);
    const since = new Date(now - 60_000).toISOString();
    const sentence = `group ["web-1"] of rule Failed logins cannot be judged since ${since}: out of range`;
    assert.deepEqual([status, impaired], ['impaired', [sentence]]);
  });

  for (const [what, status, sentence] of [
    ['Temporal away', look({}, everyRole, false), /Temporal does not answer/],
    ['Temporal without its database', look({}, everyRole, 'uncounted'), /cannot be counted/],
    [
      'a step of housekeeping that fails',
      look({}, everyRole, true, [], {}, [], [], [round('partitions', old), round('workflows')]),
      /housekeeping \(partitions\) has not succeeded for 5 min: lock timeout/,
    ],
    [
      'housekeeping that never ran, though a rules worker has long been there',
      look({}, [...everyRole, { ...process('rules'), started_at: now - 600_000 }], true, [], {}, [], [], []),
      /housekeeping \(workflows\) has not succeeded/,
    ],
    [
      'a workflow that cannot go on',
      look({}, everyRole, true, [], {}, [], [], [round('partitions'), round('workflows', { found: wedged })]),
      /workflow rule\/1 cannot continue: \[TMPRL1100\]/,
    ],
    ['a role without a process', look({}, everyRole.slice(0, -1)), /no notify worker/],
    [
      'a role whose last beat is old',
      look({}, [...everyRole.slice(0, -1), process('notify', now - 6000)]),
      /no notify worker/,
    ],
    [
      'a watermark that stands',
      look({ watermark: now - 61_000 }),
      /watermark waits for api and has not advanced for 61 s/,
    ],
    [
      'a dead process that holds it, and what to do',
      look({ watermark: now - 61_000 }),
      /api process gone is dead and holds the watermark: start another api process, .*POST \/processes\/gone\/retire/,
    ],
    [
      'a producer that no longer holds it',
      look({}, everyRole, true, [{ id: 'meter', appended_through: now - 20 * 60_000 }]),
      /producer meter is 20 min behind/,
    ],
    [
      'a sender that is refused for its own sake and no longer waited for',
      look({}, everyRole, true, [], {}, [hasty(now - 20 * 60_000)]),
      /scanner \(over_rate\) is 20 min behind/,
    ],
    ['no watermark yet', look({ watermark: 0 }), /watermark has not been set/],
    ['wakes that nobody took', look({ outbox: 3, outbox_age: 11 }), /not woken their rules/],
    ['rules that don’t answer', look({ evaluations: 1, evaluations_age: 31 }), /have not been judged/],
    [
      'a disk with little room',
      look({}, everyRole, true, [], { state: 'low' }),
      /nearly full, 12.5 % \(8.0 GiB\)/,
    ],
    ['a disk without', look({}, everyRole, true, [], { state: 'full' }), /events are refused/],
    ['notices that wait', look({ notices: 1, notices_age: 61 }), /notices have not been delivered/],
  ] as const) {
    it(`include ${what}`, () => {
      assert.equal(status.status, 'impaired');
      assert.match(status.impaired.join(), sentence);
    });
  }

  it('a process that ended in order is no reason: it is shown as ended and not alive', () => {
    const { status, processes } = look({}, [...everyRole, { ...process('rules'), ended: true }]);
    assert.equal(status, 'ok');
    const states = processes!
      .filter(({ role }) => role === 'rules')
      .map(({ alive, ended }) => [alive, ended]);
    assert.deepEqual(states, [
      [true, false],
      [false, true],
    ]);
  });

  it('come with the deaf spans', () => {
    const { deaf_spans } = look({}, everyRole, true, [], {}, [hasty(now - 60_000)]);
    assert.deepEqual(deaf_spans, [
      {
        ...{ whose: 'key', name: 'scanner', reason: 'over_rate' },
        ...{ from: new Date(now - 60_000).toISOString(), to: new Date(now).toISOString() },
      },
    ]);
  });

  it('a disk of which nothing is known is no reason', () => {
    const unknown = look({}, everyRole, true, [], { state: 'unknown', free_bytes: null, total_bytes: null });
    assert.deepEqual([unknown.status, unknown.disk.state], ['ok', 'unknown']);
  });

  it('a short wait is no reason', () => {
    const waiting = look({
      outbox: 1,
      outbox_age: 1,
      evaluations: 1,
      evaluations_age: 2,
      notices: 1,
      notices_age: 3,
    });
    assert.equal(waiting.status, 'ok');
  });
});

/** The status of a request with a Host of our choice, which fetch does not allow. */
function statusOf(url: string, method: string, headers: Record<string, string>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const sent = request(`${url}/health`, { method, headers }, (response) => {
    response.resume();
    resolve(response.statusCode!);
  });
  sent.on('error', reject).end();
  return promise;
}

describe('a request with another host name', () => {
  const ours = ['localhost:8000', '127.0.0.1:8000', '[::1]:8000', '10.0.0.7', 'tocsin.example:8000'];
  const theirs = ['evil.example', 'localhost.evil.example:8000', '127.0.0.1.evil.example', 'a@b@c'];
  const publicUrl = 'https://tocsin.example';

  it('is refused while the API listens on loopback only', async () => {
    const api = await stage({ change: ({ settings }) => ({ settings: { ...settings, publicUrl } }) });
    try {
      for (const Host of ours) assert.equal(await statusOf(api.url, 'GET', { Host }), 200, Host);
      for (const Host of theirs) assert.equal(await statusOf(api.url, 'GET', { Host }), 403, Host);
    } finally {
      await api.close();
    }
  });

  it('elsewhere is refused if a page makes a change, and accepted from other clients', async () => {
    const change = ({ settings }: ApiDeps) => ({ settings: { ...settings, publicUrl, local: false } });
    const api = await stage({ change });
    const page = (Host: string, Origin = `http://${Host}`) => statusOf(api.url, 'POST', { Host, Origin });
    try {
      // 405 means that the request passed the check and reached a path without POST.
      for (const Host of ours) assert.equal(await page(Host), 405, Host);
      for (const Host of theirs) assert.equal(await page(Host), 403, Host);
      assert.equal(await page('10.0.0.7', publicUrl), 405);
      assert.equal(await page('10.0.0.7', 'http://10.0.0.8'), 403);
      assert.equal(await page('10.0.0.7', 'null'), 403);
      for (const Host of [...ours, 'api:8000']) {
        assert.equal(await statusOf(api.url, 'POST', { Host }), 405, Host);
      }
    } finally {
      await api.close();
    }
  });
});
