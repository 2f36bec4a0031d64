import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  DeliveryEntity,
  IncidentEntity,
  NoticeEntity,
  TimelineEntity,
} from '../../../db/entities/incident.ts';
import type { Answer, Stage } from '../stage.ts';
import { stage } from '../stage.ts';

const start = Date.now() - 600_000;
const at = (ms: number) => new Date(start + ms);

const incident = (changes: Record<string, unknown> = {}) => ({
  id: randomUUID() as string,
  ruleId: randomUUID() as string,
  groupKey: '',
  episode: 1,
  revision: 1,
  ruleName: 'CPU too high',
  summary: 'Rule CPU too high triggered for cpu_spike',
  severity: 'critical',
  state: 'open' as 'open' | 'acknowledged' | 'resolved',
  late: false,
  since: at(0),
  openedAt: at(0),
  recordedAt: at(50),
  groupLabels: {} as Record<string, string>,
  labels: {} as Record<string, string>,
  annotations: {},
  metadata: { observed_count: 5, window_seconds: 60 },
  reopened: 0,
  ...changes,
});

describe('/incidents', () => {
  let api: Stage;
  before(async () => {
    api = await stage({ temporal: 'working' });
  });
  after(() => api.close());

  const add = async (changes: Record<string, unknown> = {}) => {
    const row = incident(changes);
    await api.orm.em.fork().insert(IncidentEntity, row);
    return row;
  };
  const ids = ({ body }: Answer): string[] => body.map(({ id }: { id: string }) => id);

  it('answers an incident with the fields of the reference and its own', async () => {
    const row = await add({ groupLabels: { source_id: 'source-1' }, labels: { team: 'core' } });
    const { status, body } = await api.get(`/incidents/${row.id}`);
    assert.equal(status, 200);
    assert.deepEqual(body, {
      id: row.id,
      rule_id: row.ruleId,
      rule_name: 'CPU too high',
      severity: 'critical',
      summary: row.summary,
      metadata: { observed_count: 5, window_seconds: 60 },
      triggered_at: at(0).toISOString(),
      state: 'open',
      late: false,
      since: at(0).toISOString(),
      opened_at: at(0).toISOString(),
      ended_at: null,
      recorded_at: at(50).toISOString(),
      ...{ acknowledged_at: null, acknowledged_by: null },
      ...{ resolved_at: null, resolved_by: null, resolve_reason: null, merged_into: null },
      ...{ withdrawn_at: null, corrections: 0 },
      reopened: 0,
      group: { source_id: 'source-1' },
      labels: { team: 'core' },
      annotations: {},
      timeline: [],
      deaf_spans: [],
      notices: [],
    });
  });

  it('shows the timeline and every attempt to notify people', async () => {
    const { id } = await add();
    const em = api.orm.em.fork();
    const noticeId = randomUUID();
    await em.insert(TimelineEntity, { incidentId: id, at: at(1), kind: 'opened', actor: 'rule', detail: {} });
    await em.insert(NoticeEntity, { id: noticeId, incidentId: id, kind: 'opened', at: at(2), done: true });
    for (const attempt of [2, 1]) {
      await em.insert(DeliveryEntity, {
        ...{ id: randomUUID(), noticeId, incidentId: id, channel: 'hook', attempt, at: at(2 + attempt) },
        ...{
          outcome: attempt === 2 ? ('sent' as const) : ('retry' as const),
          durationMs: 12,
          detail: 'HTTP 200',
        },
      });
    }
    const { body } = await api.get(`/incidents/${id}`);
    assert.deepEqual(body.timeline, [{ at: at(1).toISOString(), kind: 'opened', actor: 'rule', detail: {} }]);
    assert.deepEqual(body.notices, [
      {
        ...{ id: noticeId, kind: 'opened', at: at(2).toISOString(), done: true },
        deliveries: [
          {
            ...{ channel: 'hook', attempt: 1, at: at(3).toISOString(), outcome: 'retry' },
            ...{ duration_ms: 12, detail: 'HTTP 200' },
          },
          {
            ...{ channel: 'hook', attempt: 2, at: at(4).toISOString(), outcome: 'sent' },
            ...{ duration_ms: 12, detail: 'HTTP 200' },
          },
        ],
      },
    ]);
  });

  it('lists by state, rule, severity, labels and time, newest first, in pages', async () => {
    const ruleId = randomUUID();
    const made = [];
    for (let i = 0; i < 9; i++) {
      made.push(
        await add({
          ruleId,
          groupKey: JSON.stringify([i]),
          openedAt: at(100_000 + Math.floor(i / 4)),
          state: i === 0 ? 'resolved' : 'open',
          severity: i === 1 ? 'low' : 'high',
          labels: { team: i % 2 ? 'web' : 'core', 'a:b': 'c' },
          groupLabels: { host: `web-${i}` },
        }),
      );
    }
    const expected = made
      .toSorted((a, b) => b.openedAt.getTime() - a.openedAt.getTime() || b.id.localeCompare(a.id))
      .map(({ id }) => id);
    const found: string[] = [];
    for (let page: string | undefined = `/incidents?rule_id=${ruleId}&limit=2`; page; ) {
      const answer: Answer = await api.get(page);
      found.push(...ids(answer));
      page = /<(.+)>/.exec(answer.headers.get('link') ?? '')?.[1];
    }
    assert.deepEqual(found, expected);
    const count = async (query: string) =>
      (await api.get(`/incidents?rule_id=${ruleId}&${query}`)).body.length;
    assert.equal(await count('state=resolved'), 1);
    assert.equal(await count('severity=low'), 1);
    assert.equal(await count('label=team:core'), 5);
    assert.equal(await count('label=team:core&label=host:web-2'), 1);
    assert.equal(await count('label=team:core&label=host:web-1'), 0);
    assert.equal(await count(`label=${encodeURIComponent("team:' or true --")}`), 0);
    assert.equal(await count(`from=${at(100_001).toISOString()}&to=${at(100_002).toISOString()}`), 4);
  });

  for (const query of [
    'state=broken',
    'rule_id=1',
    'label=nothing',
    'label=a%00:b',
    'limit=0',
    'limit=1000',
    'from=x',
    'cursor=x',
  ]) {
    it(`answers ${query} with 422`, async () => {
      assert.equal((await api.get(`/incidents?${query}`)).status, 422);
    });
  }

  it('acknowledges an open incident; a second acknowledgement is refused', async () => {
    const { id } = await add();
    const { status, body } = await api.post(`/incidents/${id}/acknowledge`, {
      actor: 'ada',
      comment: 'looking',
    });
    assert.equal(status, 200);
    assert.equal(body.state, 'acknowledged');
    assert.equal(body.acknowledged_by, 'ada');
    assert.ok(body.acknowledged_at);
    const again = await api.post(`/incidents/${id}/acknowledge`);
    assert.equal(again.status, 409);
    assert.equal(again.body.detail, 'the incident is already acknowledged');
    const { timeline } = (await api.get(`/incidents/${id}`)).body;
    assert.ok(timeline.some((entry: { kind: string; actor: string }) => entry.actor === 'ada'));
  });

  it('lets one of two concurrent acknowledgements succeed', async () => {
    const { id } = await add();
    const answers = await Promise.all(
      ['ada', 'bob'].map((actor) => api.post(`/incidents/${id}/acknowledge`, { actor })),
    );
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
    const winner = answers.find(({ status }) => status === 200)!;
    assert.equal((await api.get(`/incidents/${id}`)).body.acknowledged_by, winner.body.acknowledged_by);
  });

  it('resolves an incident without a body; afterwards it can be neither acknowledged nor resolved', async () => {
    const { id } = await add();
    const { status, body } = await api.post(`/incidents/${id}/resolve`);
    assert.equal(status, 200);
    assert.deepEqual([body.state, body.resolved_by, body.resolve_reason], ['resolved', 'api', 'manual']);
    assert.equal((await api.post(`/incidents/${id}/resolve`)).status, 409);
    assert.equal((await api.post(`/incidents/${id}/acknowledge`)).status, 409);
  });

  it('accepts comments, also on a resolved incident', async () => {
    const { id } = await add();
    await api.post(`/incidents/${id}/resolve`, {});
    const { status, body } = await api.post(`/incidents/${id}/comments`, {
      actor: 'ada',
      text: 'it was DNS',
    });
    assert.equal(status, 201);
    const comment = body.timeline.find(({ kind }: { kind: string }) => kind === 'comment');
    assert.equal(comment.actor, 'ada');
    assert.match(JSON.stringify(comment.detail), /it was DNS/);
  });

  it('refuses invalid texts and names', async () => {
    const { id } = await add();
    for (const body of [
      { actor: '' },
      { actor: 5 },
      { actor: 'x'.repeat(201) },
      { actor: 'ada\u202e' },
      { actor: 'ada\nresolved by bob' },
      [],
      'null',
      { comment: 'a\0b' },
    ]) {
      assert.equal((await api.post(`/incidents/${id}/acknowledge`, body)).status, 422, JSON.stringify(body));
    }
    for (const body of [{}, { text: '' }, { text: '  ' }, { text: ['a'] }, { text: 'x'.repeat(10_001) }]) {
      assert.equal((await api.post(`/incidents/${id}/comments`, body)).status, 422, JSON.stringify(body));
    }
    assert.equal((await api.post(`/incidents/${id}/comments`)).status, 422);
    assert.equal((await api.get(`/incidents/${id}`)).body.state, 'open');
  });

  it('answers an unknown incident with 404 on every route', async () => {
    const path = `/incidents/${randomUUID()}`;
    for (const answer of [
      await api.get(path),
      await api.post(`${path}/acknowledge`),
      await api.post(`${path}/resolve`),
      await api.post(`${path}/comments`, { text: 'hello' }),
    ]) {
      assert.equal(answer.status, 404);
      assert.equal(answer.body.detail, 'Incident not found');
    }
    assert.equal((await api.get('/incidents/1')).status, 422);
  });
});

describe('/incidents while Temporal is down', () => {
  it('lists them, and answers 503 to actions', async () => {
    const api = await stage();
    try {
      const row = incident();
      await api.orm.em.fork().insert(IncidentEntity, row);
      assert.equal((await api.get(`/incidents/${row.id}`)).status, 200);
      const { status, body } = await api.post(`/incidents/${row.id}/acknowledge`);
      assert.equal(status, 503);
      assert.match(body.detail, /Temporal|workflow/);
      assert.equal((await api.get(`/incidents/${row.id}`)).body.state, 'open');
    } finally {
      await api.close();
    }
  });
});
