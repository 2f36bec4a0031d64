import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { compileFilter } from '../../../domain/events/filter.ts';
import { parsePath } from '../../../domain/events/path.ts';
import { type Answer, type Stage, stage } from '../stage.ts';

const HOUR = 3_600_000;

describe('reading events', () => {
  let api: Stage;
  const start = Date.now() - 2 * HOUR;
  const at = (ms: number) => new Date(start + ms).toISOString();
  const sent: { event_id: string; timestamp: string }[] = [];

  const send = async (timestamp: string, changes: Record<string, unknown> = {}) => {
    const event = {
      ...{
        event_id: randomUUID(),
        source_id: 'source-1',
        timestamp,
        severity: 'high',
        event_type: 'cpu_spike',
      },
      payload: {},
      ...changes,
    };
    assert.equal((await api.send(event)).status, 201);
    sent.push(event);
    return event;
  };
  /** The expected order: newest first, by id within a millisecond. */
  const expected = (list = sent) =>
    [...list]
      .sort((a, b) => b.timestamp.localeCompare(a.timestamp) || b.event_id.localeCompare(a.event_id))
      .map(({ event_id }) => event_id);
  const ids = ({ body }: Answer): string[] => body.map(({ id }: { id: string }) => id);
  const next = ({ headers }: Answer) => /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1];

  const walk = async (path: string): Promise<string[]> => {
    const found: string[] = [];
    for (let page: string | undefined = path; page; ) {
      const answer: Answer = await api.get(page);
      assert.equal(answer.status, 200);
      assert.ok(answer.body.length > 0 || found.length === 0, 'no page is empty but the only one');
      found.push(...ids(answer));
      page = next(answer);
    }
    return found;
  };

  before(async () => {
    api = await stage();
    await Promise.all(Array.from({ length: 40 }, () => send(at(0))));
    await Promise.all(Array.from({ length: 20 }, (_, i) => send(at(i % 4), { source_id: 'source-2' })));
    await send(at(60_000), { payload: { host: { name: 'web-1', cpu: [90, 10] }, ok: true } });
    await send(at(61_000), { severity: 'low', event_type: "it's; --", payload: { 'a.b': 1, host: 'web-1' } });
    await send(new Date(start - 26 * HOUR).toISOString(), { source_id: 'yesterday' });
  });
  after(() => api.close());

  it('lists the newest first, fifty by default', async () => {
    const answer = await api.get('/events');
    assert.deepEqual(ids(answer), expected().slice(0, 50));
    assert.ok(next(answer));
  });

  it('pages through equal timestamps without losing or repeating an event', async () => {
    assert.deepEqual(await walk('/events?limit=7'), expected());
  });

  it('keeps a page stable while new events arrive', async () => {
    const first = await api.get('/events?limit=5&source_id=source-2');
    const before = expected(
      sent.filter((event) => (event as { source_id?: string }).source_id === 'source-2'),
    );
    await send(at(120_000), { source_id: 'source-2' });
    const second = await api.get(next(first)!);
    assert.deepEqual([...ids(first), ...ids(second)], before.slice(0, 10));
  });

  it('applies offset to the first page only', async () => {
    assert.deepEqual(await walk('/events?limit=10&offset=3'), expected().slice(3));
    assert.deepEqual((await api.get('/events?offset=2147483647')).body, []);
  });

  it('filters by severity, source, type and time', async () => {
    assert.equal((await walk('/events?severity=low')).length, 1);
    assert.equal((await walk('/events?source_id=yesterday')).length, 1);
    assert.equal((await api.get(`/events?event_type=${encodeURIComponent("it's; --")}`)).body.length, 1);
    assert.equal((await walk(`/events?from=${at(60_000)}&to=${at(61_000)}`)).length, 1);
    assert.equal((await walk(`/events?severity=low&source_id=nobody`)).length, 0);
    assert.equal((await walk(`/events?severity=${encodeURIComponent("' or 1=1 --")}`)).length, 0);
  });

  it('filters by payload values, by path', async () => {
    for (const filter of [
      'payload.host.name=web-1',
      'payload.host.cpu.0=90',
      'payload.ok=true&payload.host.name=web-1',
      'payload.host=web-1',
    ]) {
      assert.equal((await walk(`/events?${filter}`)).length, 1, filter);
    }
    for (const filter of ['payload.host.name=web-2', 'payload.nothing=1', "payload.a'b=1", 'payload.=1']) {
      assert.equal((await walk(`/events?${filter}`)).length, 0, filter);
    }
  });

  it('filters by any key and any value, in lists and in the stream alike', async () => {
    const payload = JSON.parse(
      '{"host.name": "web.1", "": {"a=b": [1, 1e21, {"bb": 1, "a": [true, null]}]}, "__proto__": 7, "tiny": 1e-7, "id": 9007199254740993}',
    );
    const event_id = randomUUID();
    const text = JSON.stringify({
      ...{ event_id, source_id: 'odd-keys', severity: 'info', event_type: 'odd' },
      timestamp: at(-HOUR),
    });
    const raw = `${text.slice(0, -1)},"payload":{"host.name":"web.1","":{"a=b":[1,1e21,{"bb":1,"a":[true,null]}]},"__proto__":7,"tiny":1e-7,"id":9007199254740993}}`;
    assert.equal((await api.call('POST', '/events', raw)).status, 201);
    const stored = (await api.get(`/events/${event_id}`)).body;
    assert.ok(Object.hasOwn(stored.payload, '__proto__'));
    for (const [path, value] of [
      ['["host.name"]', 'web.1'],
      ['[""]["a=b"].0', '1'],
      ['[""]["a=b"].1', '1000000000000000000000'],
      ['[""]["a=b"].-1', '{"a": [true, null], "bb": 1}'],
      ['[""]["a=b"].2.a', '[true, null]'],
      ['__proto__', '7'],
      ['["__proto__"]', '7'],
      ['tiny', '0.0000001'],
      ['id', '9007199254740993'],
    ] as const) {
      const ask = async (name: string, given: string) =>
        ids(await api.get(`/events?source_id=odd-keys&${new URLSearchParams({ [name]: given })}`));
      const short = path.startsWith('[') ? `payload${path}` : `payload.${path}`;
      assert.deepEqual(await ask('payload', `${path}=${value}`), [event_id], path);
      assert.deepEqual(await ask(short, value), [event_id], short);
      assert.deepEqual(await ask(short, `${value}0`), [], short);
      const tests = [{ path: parsePath(path).keys, value }];
      assert.equal(
        compileFilter({ payload: tests })({ ...stored, payload: JSON.parse(JSON.stringify(payload)) }),
        path !== 'id',
      );
      assert.equal(compileFilter({ payload: tests })(stored), true, path);
    }
  });

  it('refuses an unknown parameter and suggests the most similar one', async () => {
    for (const [query, name, near] of [
      ['sevrity=high', 'sevrity', 'severity'],
      ['Source_ID=x', 'Source_ID', 'source_id'],
      ['payload[host]=web-1', 'payload[host]', ''],
      ['host=web-1', 'host', ''],
      ['constructor=1', 'constructor', ''],
      ['x=1', 'x', ''],
      ['=1', '""', ''],
    ] as const) {
      const { status, body } = await api.get(`/events?${query}`);
      assert.equal(status, 422, query);
      assert.equal(body.errors[0].field, name);
      assert.match(
        body.errors[0].reason,
        near ? new RegExp(`did you mean ${near}\\?`) : /the known names are limit, offset/,
      );
    }
    assert.equal((await api.get('/events?payload=host')).status, 422);
    // Alertmanager's clients may send parameters of other versions.
    assert.equal((await api.get('/api/v2/alerts?whatever=1')).status, 200);
  });

  it('says how far a long search got, and continues there', async () => {
    const many = Array.from({ length: 30 }, (_, i) => ({
      ...{ event_id: randomUUID(), source_id: 'searched', severity: 'info', event_type: 'searched' },
      ...{ timestamp: at(-HOUR - i), payload: { needle: i === 29 } },
    }));
    assert.equal((await api.post('/events', many)).status, 200);
    const path = '/events?source_id=searched&payload.needle=true&offset=0';
    const whole = await api.get(path);
    assert.deepEqual(ids(whole), [many[29]!.event_id]);
    assert.equal(whole.headers.get('tocsin-searched-to'), null);
    // The first part of a search reads 500 events. More events and a slow database make a search in several
    // parts.
    await api.query(`insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
      select gen_random_uuid(), to_timestamp(${start - HOUR} / 1000.0), 'searched', 'info', 'searched', '{}', now()
      from generate_series(1, 60000)`);
    const found: string[] = [];
    for (let page: string | undefined = path; page; ) {
      const answer: Answer = await api.get(page);
      found.push(...ids(answer));
      const to = answer.headers.get('tocsin-searched-to');
      page = next(answer);
      assert.equal(to !== null, page !== undefined);
      if (to) assert.equal(to, at(-HOUR));
    }
    assert.deepEqual(found, [many[29]!.event_id]);
    await api.query(`delete from events where source_id = 'searched'`);
  });

  it('accepts a zone whose plus sign was not escaped', async () => {
    assert.equal((await api.get('/events?from=2020-01-01T00:00:00+02:00&limit=1')).status, 200);
    assert.equal((await api.get('/events?from=2020-01-01T00:00:00&limit=1')).status, 200);
  });

  it('uses the last of a repeated parameter', async () => {
    assert.equal((await api.get('/events?limit=5&limit=2')).body.length, 2);
  });

  for (const query of [
    'limit=0',
    'limit=201',
    'limit=-1',
    'limit=ten',
    'limit=1.5',
    'limit=',
    'limit=1e2',
    'offset=-1',
    'offset=99999999999999999999999',
    'from=yesterday',
    'from=0000-01-01T00:00:00Z',
    'to=2026-13-01T00:00:00Z',
    'cursor=nonsense',
    `cursor=${Buffer.from('9999999999999999_x').toString('base64url')}`,
    'severity=a%00b',
    'payload.a=%00',
    'payload.%00=1',
  ]) {
    it(`answers ${query} with 422 and names the field`, async () => {
      const { status, body } = await api.get(`/events?${query}`);
      assert.equal(status, 422);
      assert.ok(body.errors[0].field.startsWith(query.split(/[=.]/)[0]!), JSON.stringify(body));
    });
  }

  it('answers one event by its id, in upper or lower case', async () => {
    const { event_id } = sent[0]!;
    assert.equal((await api.get(`/events/${event_id.toUpperCase()}`)).body.id, event_id);
  });

  it('answers an unknown id with 404 and an invalid one with 422', async () => {
    const { status, body } = await api.get(`/events/${randomUUID()}`);
    assert.equal(status, 404);
    assert.equal(body.detail, 'Event not found');
    for (const id of ['1', 'a%00b', '%E0%A4%A', "'%3B--", '../alerts%2f']) {
      assert.ok([404, 422].includes((await api.get(`/events/${id}`)).status), id);
    }
  });

  it('lists a source in pages of a hundred, and an unknown source as empty', async () => {
    await Promise.all(Array.from({ length: 130 }, () => send(at(200_000), { source_id: 'busy / one' })));
    const first = await api.get(`/events/source/${encodeURIComponent('busy / one')}`);
    assert.equal(first.body.length, 100);
    const second = await api.get(next(first)!);
    assert.equal(second.body.length, 30);
    assert.equal(next(second), undefined);
    assert.equal(new Set([...ids(first), ...ids(second)]).size, 130);
    assert.deepEqual((await api.get('/events/source/nobody')).body, []);
    assert.equal((await api.get('/events/source/a%00b')).status, 422);
  });
});
