import assert from 'node:assert/strict';
import pg from 'pg';
import { Registry } from 'prom-client';
import { type Access, openAccess } from '../../../api/auth/access.ts';
import { Problem } from '../../../api/http/problem.ts';
import { beginning } from '../../../api/intake/rejections/beginning.ts';
import { type Refusal, Rejections } from '../../../api/intake/rejections/rejections.ts';
import { connect, sqlOf } from '../../../db/orm.ts';
import { forgetRejections, KEPT_OF_A_KEY } from '../../../db/queries/rejections/rows.ts';
import { unobserved } from '../../../ingest/observer.ts';
import { BufferFull } from '../../../ingest/outcome.ts';
import { sampled, samplesOf } from '../../support/samples.ts';
import { freshDatabase } from '../../support/servers.ts';
import { silent } from '../../support/stage/log.ts';
import { type Stage, stage, TOKEN } from '../stage.ts';

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

const refusal = (changes: Partial<Refusal> = {}): Refusal => ({
  ...{ key: 'one', key_name: 'one', route: '/events', kind: 'event', status: 422 },
  ...{ reason: 'invalid', field: '', detail: 'nonsense', item: {} },
  ...changes,
});

describe('the first characters of an item', () => {
  it('a short item is shown as its whole JSON', () => {
    for (const item of [
      { a: [1, -2.5, true, null, 'text "quoted" \u0000', { b: {} }, []], c: 'd' },
      [],
      [[[]]],
      7,
      null,
      JSON.parse('{"__proto__": {"a": 1}}'),
    ]) {
      assert.equal(beginning(item), JSON.stringify(item));
    }
    assert.equal(beginning('as it came'), 'as it came');
    assert.equal(beginning(undefined), 'null');
  });

  it('a long item is cut, and the rest is not processed', () => {
    let looked = 0;
    const endless = new Proxy(Array(1_000_000).fill(0), {
      get(target, key, receiver) {
        looked += 1;
        return Reflect.get(target, key, receiver);
      },
    });
    assert.equal(beginning(endless).length, 2048);
    assert.ok(looked < 10_000);
    assert.equal(beginning({ text: 'x'.repeat(10_000_000) }).length, 2048);
    assert.equal(beginning({ ['x'.repeat(10_000_000)]: 1 }).length, 2048);
  });

  it('an item is shown even if it is nested too deep for anything else', () => {
    const deep = JSON.parse(`${'[{"a":'.repeat(50_000)}1${'}]'.repeat(50_000)}`);
    assert.equal(beginning(deep), '[{"a":'.repeat(400).slice(0, 2048));
  });
});

describe('rejections while PostgreSQL is down', () => {
  const NOON = Date.UTC(2026, 4, 4, 12);
  const counting = (orm: Awaited<ReturnType<typeof connect>>) =>
    new Rejections({ orm, clock: () => NOON, log: silent, registry: new Registry(), observer: unobserved });

  it('rejections add up, the last few are kept in memory, and all are stored once PostgreSQL is back', async () => {
    const database = await freshDatabase();
    const orm = await connect(database.url, 2);
    const client = new pg.Client(database.url);
    await client.connect();
    try {
      await client.query('alter table rejections rename to away');
      const rejections = counting(orm);
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 12; i++) rejections.note(refusal({ detail: `${round}` }));
        await rejections.flush();
      }
      await client.query('alter table away rename to rejections');
      await rejections.flush();
      await rejections.flush();
      const counts = await client.query('select n::int from rejection_counts');
      assert.deepEqual(counts.rows, [{ n: 48 }]);
      const last = await client.query('select detail from rejections order by id');
      assert.deepEqual(
        last.rows.map(({ detail }) => detail),
        [...Array(8).fill('2'), ...Array(12).fill('3')],
      );
    } finally {
      await client.end();
      await orm.close(true);
      await database.drop();
    }
  });

  it('a rejection that PostgreSQL always refuses does not prevent others from being written', async () => {
    const database = await freshDatabase();
    const orm = await connect(database.url, 2);
    try {
      const rejections = counting(orm);
      rejections.note(refusal({ route: 'x'.repeat(200) }));
      await rejections.flush();
      rejections.note(refusal({ key: 'k'.repeat(200), key_name: 'n'.repeat(500), detail: 'd'.repeat(900) }));
      await rejections.flush();
      const rows = await orm.em.fork().execute('select length(key) as key from rejections');
      assert.deepEqual(rows, [{ key: 64 }]);
    } finally {
      await orm.close(true);
      await database.drop();
    }
  });

  it('rejections take bounded memory, whoever sends', async () => {
    const away = await connect('postgresql://tocsin:secret@127.0.0.1:1/tocsin', 1);
    const rejections = counting(away);
    try {
      for (let key = 0; key < 2000; key++) rejections.note(refusal({ key: `key-${key}` }));
      assert.equal(rejections.held, 500);
    } finally {
      await away.close(true);
    }
  });

  it('two processes write rejections at once without a deadlock', async () => {
    const database = await freshDatabase();
    const orm = await connect(database.url, 4);
    try {
      const two = [counting(orm), counting(orm)];
      for (let round = 0; round < 10; round++) {
        for (const [i, rejections] of two.entries()) {
          for (const reason of i === 0 ? ['a', 'b', 'c'] : ['c', 'b', 'a']) {
            for (let n = 0; n < 8; n++) rejections.note(refusal({ reason }));
          }
        }
        await Promise.all(two.map((rejections) => rejections.flush()));
      }
      assert.ok(
        two.every(({ held }) => held === 0),
        'a write failed',
      );
      const [counts] = await orm.em.fork().execute('select sum(n)::int as n from rejection_counts');
      assert.deepEqual(counts, { n: 480 });
    } finally {
      await orm.close(true);
      await database.drop();
    }
  });
});
