import assert from 'node:assert/strict';
import { type Access, openAccess } from '../../../api/auth/access.ts';
import { Problem } from '../../../api/http/problem.ts';
import { sqlOf } from '../../../db/orm.ts';
import { forgetRejections, KEPT_OF_A_KEY } from '../../../db/queries/rejections/rows.ts';
import { BufferFull } from '../../../ingest/outcome.ts';
import { sampled, samplesOf } from '../../support/samples.ts';
import { type Stage, stage, TOKEN } from '../stage.ts';
import { refusal } from './refusal.ts';

const event = (changes: object = {}) => ({
  ...{ source_id: 'source-1', severity: 'high', event_type: 'cpu_spike' },
  ...changes,
});

type Shown = {
  counts: { route: string; reason: string; kind: string; n: number }[];
  last: {
    key: string;
    route: string;
    kind: string;
    status: number;
    reason: string;
    field: string;
    detail: string;
    item: string | null;
  }[];
};

describe('rejections', () => {
  let api: Stage;
  let full = false;
  beforeEach(async () => {
    full = false;
    /** An access that takes the bearer token as the name of the key. */
    const keyed: Access = {
      ...openAccess(TOKEN),
      async admit({ headers }, { role }) {
        const [, name] = headers.authorization?.split(' ') ?? [];
        if (role === 'ingest' && name === 'stranger') throw new Problem(401, 'no such key');
        return {
          id: name ?? null,
          name: name ?? 'anyone',
          roles: [],
          rateLimit: null,
          sources: null,
          expiresAt: null,
        };
      },
      async spend({ name }) {
        if (name === 'hasty') throw new Problem(429, 'too fast', { headers: { 'Retry-After': '1' } });
      },
    };
    api = await stage({
      change: ({ ingest }) => ({
        access: keyed,
        ingest: {
          ...ingest,
          accept: (events) => (full ? Promise.reject(new BufferFull(1)) : ingest.accept(events)),
        },
      }),
    });
  });
  afterEach(() => api.close());

  const as = (name: string) => ({ authorization: `Bearer ${name}` });
  const seen = async (query = ''): Promise<Shown> => {
    await api.rejections.flush();
    const { status, body } = await api.get(`/rejections${query}`);
    assert.equal(status, 200);
    return body;
  };
  const counted = async (reason: string, kind: string) =>
    (await seen()).counts.filter((count) => count.reason === reason && count.kind === kind);

  it('no rejections are listed while every item is stored', async () => {
    await api.post('/events', [event(), event()]);
    await api.get('/events?limit=nonsense');
    const { counts, last } = await seen();
    assert.deepEqual([counts, last], [[], []]);
  });

  it('rejections are counted by item and reason, and shown as they were sent', async () => {
    await api.call('POST', '/events', [event(), event({ severity: '' }), { nonsense: true }], as('one'));
    const { counts, last } = await seen();
    assert.deepEqual(counts, [
      { route: '/events', reason: 'invalid_severity', kind: 'event', n: 1 },
      { route: '/events', reason: 'invalid_source_id', kind: 'event', n: 1 },
    ]);
    const [second, first] = last;
    assert.deepEqual([first!.key, first!.field, first!.status], ['one', 'severity', 422]);
    assert.match(first!.detail, /Too small/);
    assert.deepEqual(JSON.parse(first!.item!), event({ severity: '' }));
    assert.equal(second!.item, '{"nonsense":true}');
  });

  it('a request with only invalid items is recorded by its items only', async () => {
    assert.equal((await api.post('/events', event({ event_type: 7 }))).status, 422);
    assert.equal((await api.post('/events', [event({ event_type: 7 })])).status, 422);
    assert.equal((await api.send(event({ event_type: 7 }))).status, 422);
    const { counts } = await seen();
    assert.deepEqual(counts, [
      { route: '/events', reason: 'invalid_event_type', kind: 'event', n: 2 },
      { route: '/internal/events', reason: 'invalid_event_type', kind: 'event', n: 1 },
    ]);
  });

  it('rejected lines are recorded; those that are not JSON are recorded as they came', async () => {
    const body = `${JSON.stringify(event())}\n{"half":\n${JSON.stringify(event({ source_id: 'x' }))}\n`;
    await api.call('POST', '/events', body, { 'content-type': 'application/x-ndjson' });
    const { last } = await seen();
    assert.deepEqual(
      new Map(last.map(({ item, reason }) => [reason, item])),
      new Map([
        ['invalid', '{"half":'],
        ['invalid_source_id', JSON.stringify(event({ source_id: 'x' }))],
      ]),
    );
  });

  it('requests that were refused as a whole are recorded by the reason', async () => {
    await api.call('POST', '/events', '{', {});
    await api.call('POST', '/events', 'x', { 'content-type': 'text/plain' });
    await api.call('POST', '/events', event(), as('stranger'));
    await api.call('POST', '/events', event(), as('hasty'));
    full = true;
    await api.post('/events', event());
    full = false;
    const { counts, last } = await seen();
    assert.deepEqual(
      counts.map(({ reason, kind }) => `${reason} ${kind}`).sort(),
      ['buffer_full', 'malformed', 'over_rate', 'unauthorized', 'unsupported_type'].map(
        (r) => `${r} request`,
      ),
    );
    const keyOf = (reason: string) => last.find((rejection) => rejection.reason === reason)!.key;
    assert.equal(keyOf('unauthorized'), 'unknown');
    assert.equal(keyOf('over_rate'), 'hasty');
    assert.equal(keyOf('malformed'), 'anyone');
  });

  it('the last few rejections of each key are kept separately', async () => {
    await api.call('POST', '/events', event({ severity: 1 }), as('quiet'));
    await api.rejections.flush();
    for (let i = 0; i < 3; i++) {
      const many = Array.from({ length: 15 }, (_, n) => event({ severity: i, n }));
      await api.call('POST', '/events', many, as('loud'));
      await api.rejections.flush();
    }
    const { counts, last } = await seen('?limit=1000');
    assert.equal(counts[0]!.n, 46);
    const loud = last.filter(({ key }) => key === 'loud');
    assert.equal(loud.length, KEPT_OF_A_KEY);
    assert.deepEqual(
      loud.map(({ item }) => JSON.parse(item!).severity),
      [...Array(15).fill(2), ...Array(5).fill(1)],
    );
    assert.equal(last.filter(({ key }) => key === 'quiet').length, 1);
    assert.equal((await seen('?key=quiet')).last.length, 1);
    assert.equal((await seen('?reason=invalid_severity&route=/internal/events')).counts.length, 0);
    assert.equal((await seen('?limit=3')).last.length, 3);
  });

  it('only a few samples per second of a flood are kept, but all of it is counted', async () => {
    const written: number[] = [];
    const item = {
      get looked() {
        return written.push(1);
      },
    };
    for (let i = 0; i < 10_000; i++) api.rejections.note(refusal({ item }));
    assert.equal(written.length, KEPT_OF_A_KEY);
    assert.equal((await counted('invalid', 'event'))[0]!.n, 10_000);
  });

  it('long, broken and hostile items are recorded', async () => {
    await api.post('/events', event({ source_id: 'x'.repeat(100_000) }));
    await api.post('/events', event({ severity: 7, source_id: 'nul\0 and \ud800' }));
    await api.call('POST', '/events', '\0"\\ud800 {\n', { 'content-type': 'application/x-ndjson' });
    await api.post('/events', JSON.parse('{"__proto__": {"severity": "high"}, "constructor": 7}'));
    const { last } = await seen();
    assert.equal(last.length, 4);
    for (const { item } of last) assert.ok(item!.length <= 2048);
  });

  it('rejections are listed by time, and no valid query fails', async () => {
    await api.post('/events', event({ severity: 1 }));
    const past = '?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z';
    assert.deepEqual((await seen(past)).counts, []);
    assert.deepEqual((await seen('?to=1970-01-01T00:00:00Z')).last, []);
    assert.equal((await seen('?from=2020-01-01T00:00:00Z')).counts[0]!.n, 1);
    for (const query of ['?limit=0', '?from=yesterday', '?key=%00', `?reason=${'x'.repeat(40)}`]) {
      assert.equal((await api.get(`/rejections${query}`)).status, 422, query);
    }
  });

  it('rejections are removed with the events of their time', async () => {
    await api.post('/events', event({ severity: 1 }));
    await api.rejections.flush();
    const tomorrow = Date.now() + 86_400_000;
    await forgetRejections(sqlOf(api.orm), tomorrow);
    const { counts, last } = await seen();
    assert.deepEqual([counts, last], [[], []]);
  });

  it('the metrics contain the rejections', async () => {
    await api.post('/events', [event(), event({ severity: 1 })]);
    const samples = samplesOf(await (await fetch(`${api.url}/metrics`)).text());
    const labels = { route: '/events', reason: 'invalid_severity', kind: 'event' };
    assert.equal(sampled(samples, 'tocsin_rejections_total', labels), 1);
    assert.equal(sampled(samples, 'tocsin_events_total', { outcome: 'invalid' }), 1);
  });
});
