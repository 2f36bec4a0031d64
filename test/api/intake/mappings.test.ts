import assert from 'node:assert/strict';
import { type Stage, stage } from '../stage.ts';

const definition = {
  source: 'svc.name',
  type: ['kind', 'logger'],
  severity: 'lvl',
  time: 'ts',
  severities: { OOPS: 'critical' },
  payload: 'rest',
};

describe('/mappings', () => {
  let api: Stage;
  let now = 0;
  before(async () => {
    api = await stage({ change: () => ({ clock: () => Date.now() + now }) });
  });
  after(() => api.close());
  beforeEach(() => api.query('truncate mappings'));

  const make = (name: string, more: object = {}) => api.post('/mappings', { name, ...definition, ...more });
  const tried = async (name: string, record: object) => {
    const { body } = await api.post(`/ingest/json/${name}?dry_run=true`, record);
    return body.results[0].event ?? body.results[0].errors;
  };

  it('lists the built-in mappings and those that people created', async () => {
    await make('zebra');
    await make('app.v2');
    const { body } = await api.get('/mappings');
    assert.deepEqual(
      body.map(({ name, built_in }: { name: string; built_in: boolean }) => [name, built_in]),
      [
        ['fluent-bit', true],
        ['vector', true],
        ['syslog-ng', true],
        ['app.v2', false],
        ['zebra', false],
      ],
    );
  });

  it('creates one that accepts records at once', async () => {
    const answer = await make('shop');
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('location'), '/mappings/shop');
    assert.deepEqual(answer.body, (await api.get('/mappings/shop')).body);
    assert.deepEqual(answer.body.severities, { oops: 'critical' });
    const record = {
      svc: { name: 'cart', zone: 'b' },
      logger: 'pay',
      lvl: 'Oops',
      ts: Date.now(),
      text: 'a',
    };
    const event = await tried('shop', record);
    assert.deepEqual([event.source_id, event.event_type, event.severity], ['cart', 'pay', 'critical']);
    assert.deepEqual(event.payload, { svc: { zone: 'b' }, text: 'a' });
    const sent = await api.post('/ingest/json/shop', record);
    assert.equal(sent.body.stored, 1);
  });

  it('refuses a second one with the same name, even at the same time', async () => {
    const answers = await Promise.all([make('same'), make('same'), make('same')]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409]);
  });

  it('replaces one: absent fields get their defaults', async () => {
    await make('shop');
    const { body } = await api.put('/mappings/shop', { source: ['other'] });
    assert.deepEqual(body.source, ['other']);
    assert.deepEqual([body.type, body.payload], [[], 'all']);
    assert.equal((await tried('shop', { other: 'web-1' })).source_id, 'web-1');
    assert.equal((await api.put('/mappings/nobody', {})).status, 404);
  });

  it('uses within 5 seconds what another process changed', async () => {
    await make('shop', { source: 'a' });
    assert.equal((await tried('shop', { a: 'one', b: 'two' })).source_id, 'one');
    await api.query(`update mappings set definition = jsonb_set(definition, '{source}', '["b"]')`);
    now += 5_001;
    assert.equal((await tried('shop', { a: 'one', b: 'two' })).source_id, 'two');
  });

  it('removes one', async () => {
    await make('shop');
    await tried('shop', {});
    assert.equal((await api.delete('/mappings/shop')).status, 204);
    assert.equal((await api.post('/ingest/json/shop', {})).status, 404);
    assert.equal((await api.delete('/mappings/shop')).status, 404);
    assert.equal((await api.get('/mappings/shop')).status, 404);
  });

  it('refuses to change the built-in ones', async () => {
    assert.equal((await make('vector')).status, 409);
    assert.equal((await api.put('/mappings/vector', {})).status, 409);
    assert.equal((await api.delete('/mappings/vector')).status, 409);
    assert.equal((await api.get('/mappings/vector')).body.built_in, true);
  });

  it('refuses invalid definitions', async () => {
    const bad = [
      { name: 'Upper' },
      { name: '../etc' },
      { name: '' },
      { name: 'a\u202eb' },
      { name: 'a\u200bb' },
      { severities: JSON.parse('{"__proto__": "low"}') },
      { time_format: 'guess' },
      { source: [''] },
      { source: Array(21).fill('a') },
      { severities: { a: '' } },
      { severities: Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`s${i}`, 'low'])) },
      { defaults: { source: 'x' } },
      { payload: 'some' },
      { type: 'a\0b' },
    ];
    for (const more of bad) assert.equal((await make('fine', more)).status, 422, JSON.stringify(more));
    assert.deepEqual(
      (await api.get('/mappings')).body.filter(({ built_in }: { built_in: boolean }) => !built_in),
      [],
    );
  });
});
