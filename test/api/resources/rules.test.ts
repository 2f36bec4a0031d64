import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { IncidentEntity } from '../../../db/entities/incident.ts';
import { RECEIVING_RULES } from '../../../domain/received-alerts/protocols.ts';
import { ruleWorkflowId } from '../../../workflows/ids.ts';
import { RETENTION_DAYS, type Stage, stage } from '../stage.ts';

const DAY = 86_400;

const rule = (changes: Record<string, unknown> = {}) => ({
  name: 'CPU too high',
  event_type: 'cpu_spike',
  severity: 'critical',
  threshold_count: 5,
  window_seconds: 60,
  ...changes,
});

describe('/alerts', () => {
  let api: Stage;
  before(async () => {
    api = await stage({ temporal: 'idle' });
  });
  after(() => api.close());

  const create = async (changes: Record<string, unknown> = {}) => {
    const { status, body } = await api.post('/alerts', rule(changes));
    assert.equal(status, 201, JSON.stringify(body));
    return body;
  };

  it('creates a rule from the fields of the reference, with defaults for the rest', async () => {
    const { id, created_at, updated_at, ...body } = await create();
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.equal(created_at, updated_at);
    assert.deepEqual(body, {
      ...rule(),
      condition: { kind: 'count', threshold_count: 5, window_seconds: 60 },
      enabled: true,
      match: [],
      group_by: [],
      for_seconds: 0,
      keep_firing_seconds: 0,
      recovery_threshold: null,
      allowed_lateness_seconds: 3600,
      late: 'notify',
      incident_severity: null,
      labels: {},
      annotations: {},
      max_groups: 1000,
      revision: 1,
      ready: false,
      sample: false,
      group_overflow: 0,
    });
  });

  it('creates a rule from a condition, and keeps all given fields', async () => {
    const given = {
      name: 'Everything',
      enabled: false,
      condition: { kind: 'count', threshold_count: 10, window_seconds: 300 },
      event_type: '',
      match: [
        { field: 'payload.host.name', op: '=~', value: 'web-.*' },
        { field: 'source_id', op: 'in', value: ['a-1', 'a-2'] },
        { field: 'payload.value', op: '>', value: 90 },
        { field: 'payload.ok', op: 'exists' },
      ],
      group_by: ['source_id', 'payload.host.name'],
      for_seconds: 30,
      keep_firing_seconds: 60,
      recovery_threshold: 3,
      allowed_lateness_seconds: 600,
      late: 'record',
      incident_severity: 'high',
      labels: { team: 'core' },
      annotations: { runbook: 'https://example.org/runbook' },
      max_groups: 50,
      sample: true,
    };
    const { body, headers, status } = await api.post('/alerts', given);
    assert.equal(status, 201);
    assert.equal(headers.get('location'), `/alerts/${body.id}`);
    assert.equal(body.event_type, null);
    assert.equal(body.threshold_count, 10);
    assert.equal(body.window_seconds, 300);
    for (const [name, value] of Object.entries(given))
      if (name !== 'event_type') assert.deepEqual(body[name], value);
    const { ready: _, ...same } = (await api.get(`/alerts/${body.id}`)).body;
    const { ready: __, ...first } = body;
    assert.deepEqual(same, first);
  });

  it('signals the rule’s workflow and starts it', async () => {
    const { id } = await create();
    const { status } = await api.client.workflow.getHandle(ruleWorkflowId(id)).describe();
    assert.equal(status.name, 'RUNNING');
  });

  it('lists rules newest first', async () => {
    const [older, newer] = [await create({ name: 'older' }), await create({ name: 'newer' })];
    const { body } = await api.get('/alerts');
    const ids = body.map(({ id }: { id: string }) => id);
    assert.equal(ids.indexOf(newer.id), ids.indexOf(older.id) - 1);
  });

  it('gives a rule whose window is as long as the retention no lateness, and limits the sum of its times', async () => {
    const window_seconds = RETENTION_DAYS * DAY;
    assert.equal((await create({ window_seconds })).allowed_lateness_seconds, 0);
    const half = await create({ window_seconds: window_seconds - 1800 });
    assert.equal(half.allowed_lateness_seconds, 1800);
    const { status, body } = await api.call('PUT', `/alerts/${half.id}`, { keep_firing_seconds: 60 });
    assert.equal(status, 422);
    assert.match(
      body.errors[0].reason,
      /window_seconds \+ allowed_lateness_seconds .* longer than events are kept/,
    );
    assert.equal((await api.call('PUT', `/alerts/${half.id}`, { threshold_count: 9 })).status, 200);
  });

  it('limits the threshold of a long window, and not that of a window of ten minutes', async () => {
    const { id } = await create({ threshold_count: 1_000_000, window_seconds: 601 });
    await create({ threshold_count: 1_000_001, window_seconds: 600 });
    assert.equal((await api.call('PUT', `/alerts/${id}`, { threshold_count: 1_000_001 })).status, 422);
  });

  for (const [what, changes, field] of [
    ['a short name', { name: 'ab' }, 'name'],
    ['a name with NUL', { name: 'a\0bc' }, 'name'],
    ['a name that is too long', { name: 'x'.repeat(201) }, 'name'],
    ['a name that is turned round', { name: 'disk \u202elluf' }, 'name'],
    ['a name with an invisible character', { name: 'dis\u200bk' }, 'name'],
    ['a name of two lines', { name: 'disk\nfull' }, 'name'],
    ['no name', { name: undefined }, 'name'],
    ['null for the name', { name: null }, 'name'],
    ['no threshold', { threshold_count: undefined }, 'threshold_count'],
    ['a threshold of 0', { threshold_count: 0 }, 'threshold_count'],
    ['a threshold beyond 32 bits', { threshold_count: 2 ** 31 }, 'threshold_count'],
    ['half an event', { threshold_count: 1.5 }, 'threshold_count'],
    [
      'a threshold above a million in a window above ten minutes',
      { threshold_count: 1_000_001, window_seconds: 601 },
      'threshold_count',
    ],
    ['text for a number', { threshold_count: '5' }, 'threshold_count'],
    ['a window of 0', { window_seconds: 0 }, 'window_seconds'],
    ['a huge window', { window_seconds: 1e18 }, 'window_seconds'],
    ['a window beyond retention', { window_seconds: RETENTION_DAYS * 86_400 + 1 }, 'window_seconds'],
    [
      'two windows',
      { condition: { kind: 'count', threshold_count: 5, window_seconds: 61 } },
      'window_seconds',
    ],
    ['a condition of no known kind', { condition: { kind: 'magic' } }, 'condition.kind'],
    ['a list for a condition', { condition: [] }, 'condition'],
    ['a matcher on no field', { match: [{ field: 'colour', op: '=', value: 'red' }] }, 'match.0'],
    ['a matcher without operator', { match: [{ field: 'severity' }] }, 'match.0.op'],
    ['a pattern that is none', { match: [{ field: 'severity', op: '=~', value: '(' }] }, 'match.0'],
    [
      'a pattern with back-references',
      { match: [{ field: 'severity', op: '=~', value: '(a)\\1' }] },
      'match.0',
    ],
    ['a list for one value', { match: [{ field: 'severity', op: '=', value: ['a'] }] }, 'match.0'],
    ['an object for a value', { match: [{ field: 'severity', op: '=', value: {} }] }, 'match.0.value'],
    ['an object for matchers', { match: {} }, 'match'],
    ['too many matchers', { match: Array(51).fill({ field: 'severity', op: 'exists' }) }, 'match'],
    ['a group by no field', { group_by: ['colour'] }, 'group_by.0'],
    ['a group by one field twice', { group_by: ['severity', 'severity'] }, 'group_by'],
    [
      'too many group fields',
      { group_by: Array.from({ length: 11 }, (_, i) => `payload.f${i}`) },
      'group_by',
    ],
    ['a recovery above the threshold', { recovery_threshold: 6 }, 'recovery_threshold'],
    ['negative waiting', { for_seconds: -1 }, 'for_seconds'],
    ['lateness beyond retention', { allowed_lateness_seconds: 10 ** 8 }, 'allowed_lateness_seconds'],
    [
      'times that together are beyond retention',
      { window_seconds: DAY, for_seconds: (RETENTION_DAYS - 1) * DAY, allowed_lateness_seconds: 1 },
      'for_seconds',
    ],
    [
      'lateness that would take too many buckets of a short window',
      { window_seconds: 60, allowed_lateness_seconds: 2 * DAY },
      'allowed_lateness_seconds',
    ],
    ['no groups', { max_groups: 0 }, 'max_groups'],
    ['a word for late', { late: 'maybe' }, 'late'],
    ['a number for a label', { labels: { a: 1 } }, 'labels.a'],
    ['a NUL in a label', { labels: { 'a\0': 'b' } }, 'labels'],
    ['__proto__ for a label', { labels: JSON.parse('{"__proto__": "a"}') }, 'labels'],
    ['__proto__ for an annotation', { annotations: JSON.parse('{"__proto__": "a"}') }, 'annotations'],
    ['a list for labels', { labels: ['a'] }, 'labels'],
    ['a word for a switch', { enabled: 'yes' }, 'enabled'],
  ] as const) {
    it(`refuses ${what} with 422 and names the field`, async () => {
      const { status, body } = await api.post('/alerts', rule(changes));
      assert.equal(status, 422, JSON.stringify(body));
      assert.ok(
        body.errors.some((error: { field: string }) => error.field === field),
        JSON.stringify(body.errors),
      );
    });
  }

  it('refuses unknown fields at any depth, and suggests the most similar one', async () => {
    for (const [changes, field, near] of [
      [{ group_bye: ['source_id'] }, 'group_bye', 'group_by'],
      [{ treshold_count: 5 }, 'treshold_count', 'threshold_count'],
      [
        { match: [{ field: 'severity', operator: '=', op: '=', value: 'x' }] },
        'match.0.operator',
        'field, op, value',
      ],
      [
        { condition: { kind: 'count', threshold_count: 1, window_second: 60 } },
        'condition.window_second',
        'window_seconds',
      ],
      [{ constructor: 1 }, 'constructor', ''],
    ] as const) {
      const made = await api.post('/alerts', rule(changes));
      assert.equal(made.status, 422, field);
      assert.equal(made.body.errors[0].field, field);
      assert.ok(made.body.errors[0].reason.includes(near), made.body.errors[0].reason);
      const { id } = await create();
      assert.equal((await api.call('PUT', `/alerts/${id}`, changes)).status, 422);
    }
    // Names of labels are free, so this one is accepted.
    assert.deepEqual((await create({ labels: { group_bye: 'x' } })).labels, { group_bye: 'x' });
  });

  it('refuses too many labels', async () => {
    const labels = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`l${i}`, '']));
    assert.equal((await api.post('/alerts', rule({ labels }))).status, 422);
  });

  it('changes the given fields and keeps null and absent ones', async () => {
    const { id } = await create({ labels: { team: 'core' } });
    const { status, body } = await api.put(`/alerts/${id}`, {
      name: 'Renamed',
      threshold_count: 9,
      window_seconds: null,
      labels: null,
    });
    assert.equal(status, 200);
    assert.equal(body.name, 'Renamed');
    assert.deepEqual(body.condition, { kind: 'count', threshold_count: 9, window_seconds: 60 });
    assert.deepEqual(body.labels, { team: 'core' });
    assert.equal(body.revision, 2);
    assert.deepEqual(body.open_incidents, {
      count: 0,
      outcome: 'go on if the new revision still fires for their group',
    });
  });

  it('makes no new revision if nothing changes that it counts', async () => {
    const { id } = await create();
    const { body } = await api.put(`/alerts/${id}`, { annotations: { a: 'b' }, threshold_count: 5 });
    assert.equal(body.revision, 1);
    assert.equal(body.open_incidents.outcome, 'unchanged');
  });

  it('accepts its own answer with one of the two forms of the condition changed', async () => {
    const made = await create();
    const short = await api.put(`/alerts/${made.id}`, { ...made, threshold_count: 7 });
    assert.equal(short.body.condition.threshold_count, 7);
    const { condition } = short.body;
    const long = await api.put(`/alerts/${made.id}`, {
      ...short.body,
      condition: { ...condition, threshold_count: 8 },
    });
    assert.equal(long.body.threshold_count, 8);
    const both = { threshold_count: 1, condition: { ...condition, threshold_count: 2 } };
    assert.equal((await api.put(`/alerts/${made.id}`, both)).status, 422);
  });

  it('clears a filter with an empty string', async () => {
    const { id } = await create();
    const { body } = await api.put(`/alerts/${id}`, { event_type: '', severity: '' });
    assert.deepEqual([body.event_type, body.severity], [null, null]);
  });

  it('lowers the recovery threshold with the threshold, and clears it with 0', async () => {
    const { id } = await create({ recovery_threshold: 4 });
    const change = async (changes: object) =>
      (await api.put(`/alerts/${id}`, changes)).body.recovery_threshold as number | null;
    assert.equal(await change({ threshold_count: 3 }), 3);
    assert.equal(await change({ threshold_count: 5 }), 3);
    assert.equal(await change({ recovery_threshold: null }), 3);
    assert.equal(await change({ recovery_threshold: 0 }), null);
    assert.equal((await create({ recovery_threshold: 0 })).recovery_threshold, null);
  });

  it('refuses an invalid change, and changes nothing', async () => {
    const { id } = await create({ recovery_threshold: 4 });
    const both = { threshold_count: 3, recovery_threshold: 4 };
    assert.equal((await api.put(`/alerts/${id}`, both)).status, 422);
    assert.equal((await api.put(`/alerts/${id}`, { window_seconds: 1e9 })).status, 422);
    assert.equal((await api.put(`/alerts/${id}`, [])).status, 422);
    assert.equal((await api.get(`/alerts/${id}`)).body.revision, 1);
  });

  it('deletes a rule and says what happens to its open incidents', async () => {
    const { id } = await create();
    await api.orm.em.fork().insert(IncidentEntity, incidentOf(id));
    const { status, headers } = await api.delete(`/alerts/${id}`);
    assert.equal(status, 204);
    assert.equal(headers.get('x-open-incidents'), '1; resolved: rule deleted');
    assert.equal((await api.get(`/alerts/${id}`)).status, 404);
    const { body } = await api.get('/alerts');
    assert.ok(!body.some((other: { id: string }) => other.id === id));
  });

  describe('a built-in rule', () => {
    const path = `/alerts/${RECEIVING_RULES.alertmanager}`;

    it('is listed, with the numbers that clients of the reference expect', async () => {
      const { body } = await api.get('/alerts');
      const builtIn = body.filter(
        ({ condition }: { condition: { kind: string } }) => condition.kind === 'received',
      );
      assert.deepEqual(
        builtIn.map(
          ({ condition, ...rule }: Record<string, unknown> & { condition: { protocol: string } }) => [
            ...[condition.protocol, rule.enabled, rule.ready, rule.threshold_count, rule.window_seconds],
          ],
        ),
        [
          ['pagerduty', true, true, 1, 1],
          ['alertmanager', true, true, 1, 1],
        ],
      );
    });

    it('is disabled and enabled by sending back its answer, and keeps its max_groups', async () => {
      const { body: before } = await api.get(path);
      for (const enabled of [false, true]) {
        const { status, body } = await api.put(path, { ...before, enabled });
        assert.equal(status, 200);
        assert.equal(body.enabled, enabled);
        assert.deepEqual(body.condition, before.condition);
      }
      assert.equal((await api.put(path, { max_groups: 20_000 })).body.max_groups, 20_000);
      await api.put(path, { max_groups: before.max_groups });
    });

    for (const change of [
      { threshold_count: 2 },
      { event_type: 'tick' },
      { group_by: ['source_id'] },
      { for_seconds: 5 },
    ]) {
      it(`refuses ${JSON.stringify(change)}, and says why`, async () => {
        const { status, body } = await api.put(path, change);
        assert.equal(status, 422);
        assert.match(body.detail, /built in/);
      });
    }

    it('cannot be deleted or created', async () => {
      const { status, body } = await api.delete(path);
      assert.equal(status, 409);
      assert.match(body.detail, /can be disabled/);
      const condition = { kind: 'received', protocol: 'alertmanager' };
      const made = await api.post('/alerts', { name: 'mine', condition });
      assert.equal(made.status, 422);
      assert.equal(made.body.errors[0].field, 'condition.kind');
      assert.match(made.body.detail, /built in/);
    });
  });

  it('answers an unknown rule with 404 on every route', async () => {
    const path = `/alerts/${randomUUID()}`;
    for (const answer of [await api.get(path), await api.put(path, {}), await api.delete(path)]) {
      assert.equal(answer.status, 404);
      assert.equal(answer.body.detail, 'Rule not found');
    }
    for (const id of ['1', 'a%00b']) assert.equal((await api.delete(`/alerts/${id}`)).status, 422);
  });

  it('refuses a body above 256 KiB', async () => {
    assert.equal(
      (await api.post('/alerts', rule({ annotations: { a: 'x'.repeat(256 << 10) } }))).status,
      413,
    );
  });

  it('refuses a body with too many values without checking each', async () => {
    const { status, body } = await api.post('/alerts', rule({ match: Array(30_000).fill(0) }));
    assert.equal(status, 422);
    assert.deepEqual(body.errors, [{ field: '', reason: 'the body has more than 20000 values' }]);
  });

  it('refuses an object with too many keys without checking each', async () => {
    const labels = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`l${i}`, 0]));
    const { body } = await api.post('/alerts', rule({ labels }));
    assert.deepEqual(body.errors, [{ field: 'labels', reason: 'must have at most 1000 keys' }]);
  });

  it('lists at most 50 errors of a body, and says how many there are', async () => {
    const labels = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`l${i}`, 0]));
    const { status, body } = await api.post('/alerts', rule({ labels }));
    assert.equal(status, 422);
    assert.equal(body.errors.length, 50);
    assert.match(body.detail, /^labels\.l0: .* \(and \d{3} more, of which `errors` has 49\)$/);
  });
});

describe('/alerts while Temporal is down', () => {
  it('creates and changes rules nevertheless', async () => {
    const api = await stage();
    try {
      const { status, body } = await api.post('/alerts', rule());
      assert.equal(status, 201);
      assert.equal((await api.put(`/alerts/${body.id}`, { threshold_count: 6 })).status, 200);
      assert.equal((await api.delete(`/alerts/${body.id}`)).status, 204);
    } finally {
      await api.close();
    }
  });
});

const incidentOf = (ruleId: string) => ({
  ...{ id: randomUUID(), ruleId, groupKey: '', episode: 1, revision: 1, ruleName: 'CPU', summary: 'CPU' },
  ...{ severity: 'critical', state: 'open' as const, since: new Date(), openedAt: new Date(), late: false },
  ...{ recordedAt: new Date(), groupLabels: {}, labels: {}, annotations: {}, metadata: {}, reopened: 0 },
});
