import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { DeadLetterEntity } from '../../../db/entities/dead-letter.ts';
import { type Answer, type Stage, stage } from '../stage.ts';

const start = Date.now() - 60_000;

const event = (source_id: string, changes: Record<string, unknown> = {}) => ({
  event_id: randomUUID() as string,
  source_id,
  occurred_at: start,
  severity: 'high',
  event_type: 'cpu_spike',
  payload: { sequence: 1 },
  ...changes,
});

describe('/dead-letters', () => {
  let api: Stage;
  before(async () => {
    api = await stage({ temporal: 'working' });
  });
  after(() => api.close());

  const add = async (sourceId: string, changes: Record<string, unknown> = {}) => {
    const row = {
      id: randomUUID() as string,
      ...{ sourceId, kind: 'event' as const, state: 'waiting' as const, failure: 'invalid' },
      ...{ reason: 'too long', field: 'severity', content: event(sourceId), eventCount: 1, attempts: 0 },
      ...{ createdAt: new Date(start), updatedAt: new Date(start) },
      ...changes,
    };
    await api.orm.em.fork().insert(DeadLetterEntity, row);
    return row;
  };
  const ids = ({ body }: Answer): string[] => body.map(({ id }: { id: string }) => id);

  it('lists without content, newest first, in pages, and filters', async () => {
    const rows = [];
    for (let i = 0; i < 7; i++) {
      rows.push(
        await add('lister', {
          createdAt: new Date(start + Math.floor(i / 3)),
          ...(i === 0 ? { state: 'discarded' } : {}),
          ...(i === 1 ? { kind: 'batch', failure: 'transient', field: null } : {}),
        }),
      );
    }
    const expected = rows
      .toSorted((a, b) => b.createdAt.getTime() - a.createdAt.getTime() || b.id.localeCompare(a.id))
      .map(({ id }) => id);
    const found: string[] = [];
    for (let page: string | undefined = '/dead-letters?source_id=lister&limit=3'; page; ) {
      const answer: Answer = await api.get(page);
      found.push(...ids(answer));
      assert.ok(answer.body.every((letter: object) => !('content' in letter)));
      page = /<(.+)>/.exec(answer.headers.get('link') ?? '')?.[1];
    }
    assert.deepEqual(found, expected);
    const count = async (query: string) =>
      (await api.get(`/dead-letters?source_id=lister&${query}`)).body.length;
    assert.equal(await count('state=discarded'), 1);
    assert.equal(await count('kind=batch'), 1);
    assert.equal(await count('failure=invalid'), 6);
    assert.equal(await count(`failure=${encodeURIComponent("' or true --")}`), 0);
    for (const query of ['state=x', 'kind=x', 'limit=0', 'cursor=x', 'source_id=a%00']) {
      assert.equal((await api.get(`/dead-letters?${query}`)).status, 422, query);
    }
  });

  it('shows one with its content', async () => {
    const row = await add('shower');
    const { body } = await api.get(`/dead-letters/${row.id}`);
    assert.deepEqual(body.content, row.content);
    assert.deepEqual([body.source_id, body.field, body.reason], ['shower', 'severity', 'too long']);
  });

  it('redrives one: its event is stored once', async () => {
    const row = await add('driver');
    const { status, body } = await api.post(`/dead-letters/${row.id}/redrive`, { actor: 'ada' });
    assert.equal(status, 200);
    assert.equal(body.state, 'redriven');
    assert.deepEqual(ids(await api.get('/events/source/driver')), [row.content.event_id]);
    const again = await api.post(`/dead-letters/${row.id}/redrive`);
    assert.equal(again.status, 409);
    assert.equal(again.body.detail, 'the dead letter is redriven already');
    assert.equal((await api.get('/events/source/driver')).body.length, 1);
  });

  it('says why a redrive failed, and leaves the letter waiting', async () => {
    const row = await add('hopeless', { content: event('hopeless', { severity: 'x'.repeat(40) }) });
    const { status, body } = await api.post(`/dead-letters/${row.id}/redrive`);
    assert.equal(status, 409);
    assert.match(body.detail, /^failed again: /);
    assert.equal((await api.get(`/dead-letters/${row.id}`)).body.state, 'waiting');
  });

  it('discards one, and refuses to discard it again', async () => {
    const row = await add('dropper');
    assert.equal((await api.post(`/dead-letters/${row.id}/discard`)).body.state, 'discarded');
    assert.equal((await api.post(`/dead-letters/${row.id}/discard`)).status, 409);
    assert.deepEqual((await api.get('/events/source/dropper')).body, []);
  });

  it('redrives many of several sources, and says which failed', async () => {
    const good = [await add('many-1'), await add('many-1'), await add('many-2')];
    const bad = await add('many-2', { content: event('many-2', { event_type: '' }) });
    const other = await add('many-3');
    const ids = [...good, bad].map(({ id }) => id);
    const { status, body } = await api.post('/dead-letters/redrive', { ids });
    assert.equal(status, 200);
    assert.deepEqual(body.redriven.toSorted(), good.map(({ id }) => id).toSorted());
    assert.deepEqual(body.failed, [bad.id]);
    assert.equal((await api.get(`/dead-letters/${other.id}`)).body.state, 'waiting');
    assert.deepEqual((await api.post('/dead-letters/redrive', { ids: [good[0]!.id] })).body, {
      redriven: [],
      failed: [],
    });
  });

  it('discards all waiting ones of a source', async () => {
    const rows = [await add('whole'), await add('whole'), await add('whole', { state: 'redriven' })];
    const { body } = await api.post('/dead-letters/discard', { source_id: 'whole' });
    assert.deepEqual(body.discarded.toSorted(), [rows[0]!.id, rows[1]!.id].toSorted());
  });

  it('refuses a request that does not select any', async () => {
    for (const path of ['/dead-letters/redrive', '/dead-letters/discard']) {
      for (const body of [
        undefined,
        {},
        { ids: null },
        { ids: ['1'] },
        { ids: 'all' },
        [],
        { source_id: 5 },
      ]) {
        assert.equal((await api.post(path, body)).status, 422, JSON.stringify(body));
      }
      assert.equal((await api.post(path, { ids: Array(1001).fill(randomUUID()) })).status, 422);
      assert.equal((await api.post(path, { ids: [] })).status, 200);
    }
  });

  it('answers an unknown dead letter with 404', async () => {
    const path = `/dead-letters/${randomUUID()}`;
    for (const answer of [
      await api.get(path),
      await api.post(`${path}/redrive`),
      await api.post(`${path}/discard`),
    ]) {
      assert.equal(answer.status, 404);
      assert.equal(answer.body.detail, 'Dead letter not found');
    }
    assert.equal((await api.get('/dead-letters/1')).status, 422);
  });
});

describe('/dead-letters while Temporal is down', () => {
  it('lists them, and answers 503 to redrive and discard', async () => {
    const api = await stage();
    try {
      const id = randomUUID();
      await api.query(`insert into dead_letters
        (id, source_id, kind, state, failure, reason, content, event_count, created_at, updated_at)
        values ('${id}', 'abc', 'event', 'waiting', 'invalid', 'bad', '{}', 1, now(), now())`);
      assert.equal((await api.get('/dead-letters')).body.length, 1);
      assert.equal((await api.post(`/dead-letters/${id}/redrive`)).status, 503);
      assert.equal((await api.post('/dead-letters/discard', { ids: [id] })).status, 503);
      assert.equal((await api.get(`/dead-letters/${id}`)).body.state, 'waiting');
    } finally {
      await api.close();
    }
  });
});
