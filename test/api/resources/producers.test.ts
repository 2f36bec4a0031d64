import assert from 'node:assert/strict';
import { producerWorkflowId } from '../../../workflows/ids.ts';
import { pauseProducer, producerStatus } from '../../../workflows/messages.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Stage, stage } from '../stage.ts';

const simulated = (id: string, changes: Record<string, unknown> = {}) => ({
  id,
  kind: 'simulated',
  settings: { rate_per_second: 20, tick_ms: 100 },
  ...changes,
});

describe('/producers', () => {
  let api: Stage;
  before(async () => {
    api = await stage({ temporal: 'working' });
  });
  after(() => api.close());

  const make = async (id: string, changes: Record<string, unknown> = {}) => {
    const { status, body } = await api.post('/producers', simulated(id, changes));
    assert.equal(status, 201, JSON.stringify(body));
    return body;
  };

  it('creates a producer that emits at once, and shows its status', async () => {
    const made = await make('made-1');
    assert.equal(made.status.state, 'running');
    assert.deepEqual(made.settings, {
      rate_per_second: 20,
      tick_ms: 100,
      seed: 1,
      severities: ['critical', 'high', 'medium'],
      event_types: ['cpu_spike', 'latency_anomaly'],
      burst: null,
    });
    await waitFor(async () => (await api.get('/events/source/made-1')).body.length > 0, { what: 'events' });
    const { body } = await waitFor(
      async () => {
        const answer = await api.get('/producers/made-1');
        return answer.body.appended > 0 && answer.body.status.emitted > 0 ? answer : undefined;
      },
      { what: 'progress' },
    );
    assert.ok(Date.parse(body.appended_through) > Date.now() - 60_000);
    assert.equal((await api.delete('/producers/made-1')).status, 204);
  });

  it('answers a second producer with the same id with 409 and does not change the first', async () => {
    await make('twice', { paused: true });
    const { status, body } = await api.post('/producers', simulated('twice'));
    assert.equal(status, 409);
    assert.match(body.detail, /twice/);
    assert.equal((await api.get('/producers/twice')).body.paused, true);
  });

  it('refuses a setting that its kind does not have, and changes nothing', async () => {
    await make('misspelt', { paused: true });
    const { status, body } = await api.put('/producers/misspelt', {
      settings: { rate_per_secnd: 9, tick_ms: 200 },
    });
    assert.equal(status, 422);
    assert.deepEqual(body.errors, [
      { field: 'settings.rate_per_secnd', reason: 'is unknown: did you mean rate_per_second?' },
    ]);
    assert.equal((await api.get('/producers/misspelt')).body.settings.tick_ms, 100);
  });

  it('lists producers by id', async () => {
    await make('list-b', { paused: true });
    await make('list-a', { paused: true, sample: true });
    const { body } = await api.get('/producers');
    const ids = body.map(({ id }: { id: string }) => id);
    assert.deepEqual(ids, ids.toSorted());
    assert.ok(body.find(({ id }: { id: string }) => id === 'list-a').sample);
  });

  it('pauses and resumes, and answers 409 if there is nothing to do', async () => {
    await make('stop-and-go');
    const paused = await api.post('/producers/stop-and-go/pause', { actor: 'ada' });
    assert.equal(paused.status, 200);
    assert.deepEqual([paused.body.paused, paused.body.status.state], [true, 'paused']);
    assert.equal((await api.post('/producers/stop-and-go/pause')).status, 409);
    const resumed = await api.post('/producers/stop-and-go/resume');
    assert.deepEqual([resumed.body.paused, resumed.body.status.state], [false, 'running']);
    assert.equal((await api.post('/producers/stop-and-go/resume')).status, 409);
    assert.equal((await api.delete('/producers/stop-and-go')).status, 204);
  });

  it('makes a row and a workflow agree that an interrupted request left different', async () => {
    await make('torn', { paused: true });
    await api.query(`update producers set paused = false where id = 'torn'`);
    const { status, body } = await api.post('/producers/torn/pause');
    assert.deepEqual([status, body.paused, body.status.state], [200, true, 'paused']);
  });

  it('changes the given settings, in the row and in the workflow', async () => {
    await make('changed', { settings: { rate_per_second: 3, tick_ms: 1000, seed: 7 } });
    const { status, body } = await api.put('/producers/changed', {
      settings: { rate_per_second: 9 },
      paused: true,
    });
    assert.equal(status, 200);
    assert.deepEqual(
      [body.settings.rate_per_second, body.settings.seed, body.paused, body.status.state],
      [9, 7, true, 'paused'],
    );
    assert.equal((await api.get('/producers/changed')).body.settings.rate_per_second, 9);
    const unchanged = await api.put('/producers/changed', { settings: null, paused: null });
    assert.deepEqual(unchanged.body.settings, body.settings);
  });

  it('keeps a pause that reached the workflow but not the row yet', async () => {
    await make('half-paused');
    const workflow = api.client.workflow.getHandle(producerWorkflowId('half-paused'));
    await workflow.executeUpdate(pauseProducer, { args: [{ actor: 'ada' }] });
    const { body } = await api.put('/producers/half-paused', { settings: { rate_per_second: 9 } });
    assert.deepEqual([body.settings.rate_per_second, body.status.state], [9, 'paused']);
    await api.query(`update producers set paused = true where id = 'half-paused'`);
    const unpaused = await api.put('/producers/half-paused', { paused: false });
    assert.deepEqual([unpaused.body.paused, unpaused.body.status.state], [false, 'running']);
    assert.equal((await api.delete('/producers/half-paused')).status, 204);
  });

  it('changes the kind of a producer', async () => {
    await make('turncoat', { paused: true });
    const url = 'http://127.0.0.1:9/health?token=s3cret';
    const { status, body } = await api.put('/producers/turncoat', { kind: 'http-check', settings: { url } });
    assert.equal(status, 200);
    assert.deepEqual(body.settings, {
      url,
      interval_seconds: 60,
      timeout_ms: 10_000,
      expected_status: [],
      certificate_days: 14,
    });
    const workflow = api.client.workflow.getHandle(producerWorkflowId('turncoat'));
    assert.equal((await workflow.query(producerStatus)).settings.kind, 'http-check');
    assert.doesNotMatch(JSON.stringify(await workflow.query(producerStatus)), /s3cret/);
    const back = await api.put('/producers/turncoat', { kind: 'simulated' });
    assert.equal(back.body.settings.url, undefined);
  });

  it('stops and removes a producer, and keeps its events', async () => {
    await make('short-lived');
    await waitFor(async () => (await api.get('/events/source/short-lived')).body.length > 0, {
      what: 'events',
    });
    assert.equal((await api.delete('/producers/short-lived')).status, 204);
    assert.equal((await api.get('/producers/short-lived')).status, 404);
    assert.ok((await api.get('/events/source/short-lived')).body.length > 0);
    assert.equal((await api.delete('/producers/short-lived')).status, 404);
    assert.equal((await make('short-lived', { paused: true })).appended, 0);
  });

  for (const [what, given, field] of [
    ['no id', simulated(undefined as unknown as string), 'id'],
    ['a short id', simulated('ab'), 'id'],
    ['an id that is too long', simulated('x'.repeat(101)), 'id'],
    ['an id with a slash', simulated('a/b/c'), 'id'],
    ['an id with a NUL', simulated('abc\0'), 'id'],
    ['an id with a line break', simulated('abc\ndef'), 'id'],
    ['an id with spaces around', simulated(' abc '), 'id'],
    ['a kind that is none', { id: 'abc', kind: 'magic' }, 'kind'],
    ...['ab\u202ec', 'ab\u200bc', 'ab\u2028c', 'ab\ufeffc', 'ab\nc'].map(
      (id) => [`the id ${JSON.stringify(id)}`, simulated(id), 'id'] as const,
    ),
    ['__proto__ for a setting', simulated('abc', { settings: JSON.parse('{"__proto__": 1}') }), 'settings'],
    ['no kind', { id: 'abc' }, 'kind'],
    ['a list for settings', { ...simulated('abc'), settings: [] }, 'settings'],
    ['a rate of 0', simulated('abc', { settings: { rate_per_second: 0 } }), 'settings.rate_per_second'],
    ['a huge rate', simulated('abc', { settings: { rate_per_second: 1e9 } }), 'settings.rate_per_second'],
    ['a tick of 1 ms', simulated('abc', { settings: { tick_ms: 1 } }), 'settings.tick_ms'],
    [
      'batches that are too large',
      simulated('abc', { settings: { rate_per_second: 10_000, tick_ms: 60_000 } }),
      'settings',
    ],
    ['no severities', simulated('abc', { settings: { severities: [] } }), 'settings.severities'],
    ['a seed that is no whole number', simulated('abc', { settings: { seed: 0.5 } }), 'settings.seed'],
    [
      'a burst without factor',
      simulated('abc', {
        settings: { burst: { every_seconds: 9, length_seconds: 1, event_type: 'a', severity: 'b' } },
      }),
      'settings.burst.factor',
    ],
    ['a check without URL', { id: 'abc', kind: 'http-check', settings: {} }, 'settings.url'],
    ['a check without settings', { id: 'abc', kind: 'http-check' }, 'settings'],
    [
      'a check of a file',
      { id: 'abc', kind: 'http-check', settings: { url: 'file:///etc/passwd' } },
      'settings.url',
    ],
    [
      'a check with a password',
      { id: 'abc', kind: 'http-check', settings: { url: 'http://a:b@example.org/' } },
      'settings.url',
    ],
    [
      'a check every second',
      { id: 'abc', kind: 'http-check', settings: { url: 'http://example.org/', interval_seconds: 1 } },
      'settings.interval_seconds',
    ],
  ] as const) {
    it(`refuses ${what} with 422 and names the field`, async () => {
      const { status, body } = await api.post('/producers', given);
      assert.equal(status, 422, JSON.stringify(body));
      assert.ok(
        body.errors.some((error: { field: string }) => error.field === field),
        JSON.stringify(body.errors),
      );
    });
  }

  it('refuses a change with which it could not run, and changes nothing', async () => {
    await make('steady', { paused: true });
    for (const settings of [{ rate_per_second: -1 }, { url: 'x', tick_ms: 'fast' }, [], 5]) {
      assert.equal((await api.put('/producers/steady', { settings })).status, 422, JSON.stringify(settings));
    }
    assert.equal((await api.put('/producers/steady', { kind: 'http-check' })).status, 422);
    assert.equal((await api.get('/producers/steady')).body.settings.rate_per_second, 20);
  });

  it('answers an unknown producer with 404 on every route', async () => {
    for (const answer of [
      await api.get('/producers/nobody'),
      await api.put('/producers/nobody', {}),
      await api.delete('/producers/nobody'),
      await api.post('/producers/nobody/pause'),
      await api.post('/producers/nobody/resume'),
    ]) {
      assert.equal(answer.status, 404);
      assert.equal(answer.body.detail, 'Producer not found');
    }
    assert.equal((await api.get('/producers/a%00b')).status, 422);
  });

  for (const body of [
    {},
    { activities_per_second: -1 },
    { activities_per_second: '5' },
    { activities_per_second: 1e99 },
    [],
  ]) {
    it(`refuses the limit ${JSON.stringify(body)} with 422`, async () => {
      assert.equal((await api.put('/backpressure', body)).status, 422);
    });
  }
});

describe('/producers while Temporal is down', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  it('stores a new producer, which starts when Temporal is back', async () => {
    const { status, body } = await api.post('/producers', simulated('patient'));
    assert.equal(status, 201);
    assert.equal(body.status, null);
    assert.equal((await api.get('/producers/patient')).body.status, null);
  });

  it('answers 503 to changes and changes nothing', async () => {
    const answers = await Promise.all([
      api.put('/producers/patient', { paused: true }),
      api.post('/producers/patient/pause'),
      api.delete('/producers/patient'),
      api.get('/backpressure'),
      api.put('/backpressure', { activities_per_second: 5 }),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [503, 503, 503, 503, 503],
    );
    assert.equal((await api.get('/producers')).body[0].paused, false);
  });
});
