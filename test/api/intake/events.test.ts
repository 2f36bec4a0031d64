import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { BufferFull, StoreUnavailable } from '../../../ingest/outcome.ts';
import { RETENTION_DAYS, type Stage, stage, TOKEN } from '../stage.ts';

const event = (changes: Record<string, unknown> = {}) => ({
  event_id: randomUUID(),
  source_id: 'source-1',
  timestamp: new Date().toISOString(),
  severity: 'critical',
  event_type: 'cpu_spike',
  payload: { value: 93, unit: 'percent' },
  ...changes,
});

describe('POST /internal/events', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  it('stores an event and answers 201 with it', async () => {
    const given = event();
    const { status, body } = await api.send(given);
    assert.equal(status, 201);
    assert.deepEqual(body, { id: given.event_id, ...given });
    assert.deepEqual((await api.get(`/events/${given.event_id}`)).body, body);
  });

  it('answers a duplicate with 200 and the event as it was first stored', async () => {
    const given = event();
    await api.send(given);
    const { status, body } = await api.send({ ...given, severity: 'low', payload: { other: true } });
    assert.equal(status, 200);
    assert.equal(body.severity, 'critical');
    assert.deepEqual(body.payload, given.payload);
  });

  it('gives concurrent retries of an event without a time the same time', async () => {
    const { timestamp: _, ...given } = event();
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.send(given)));
    assert.equal(answers.filter(({ status }) => status === 201).length, 1);
    assert.equal(new Set(answers.map(({ body }) => body.timestamp)).size, 1);
    const stored = await api.query(`select 1 from events where event_id = '${given.event_id}'`);
    assert.equal(stored.length, 1);
  });

  it('makes up a missing id and payload, and cuts times to milliseconds', async () => {
    const timestamp = `${new Date().toISOString().slice(0, -1)}789+00:00`;
    const { status, body } = await api.send({
      ...event({ timestamp }),
      event_id: undefined,
      payload: undefined,
    });
    assert.equal(status, 201);
    assert.match(body.id, /^[0-9a-f-]{36}$/);
    assert.equal(body.timestamp, `${timestamp.slice(0, 23)}Z`);
    assert.deepEqual(body.payload, {});
  });

  it('ignores unknown keys', async () => {
    const { status, body } = await api.send({ ...event(), colour: 'red', __proto__: { severity: 'low' } });
    assert.equal(status, 201);
    assert.equal(body.colour, undefined);
  });

  it('refuses a wrong or missing token before it reads the body', async () => {
    for (const headers of [{}, { 'x-ingest-token': 'guess' }, { 'x-ingest-token': '' }]) {
      const { status, body } = await api.send('not even JSON', headers as Record<string, string>);
      assert.equal(status, 401);
      assert.equal(body.detail, 'Invalid ingest token');
    }
  });

  for (const [what, changes, field] of [
    ['a source_id that is too short', { source_id: 'ab' }, 'source_id'],
    ['a source_id that is too long', { source_id: 'x'.repeat(101) }, 'source_id'],
    ['a severity that is too long', { severity: 'x'.repeat(33) }, 'severity'],
    ['an event_type that is too long', { event_type: 'x'.repeat(65) }, 'event_type'],
    ['no severity', { severity: undefined }, 'severity'],
    ['a number for a string', { severity: 5 }, 'severity'],
    ['a list for an object', { payload: [1, 2] }, 'payload'],
    ['an event_id that is no UUID', { event_id: "'; drop table events; --" }, 'event_id'],
    ['a time that is none', { timestamp: 'yesterday' }, 'timestamp'],
    ['a time that no calendar has', { timestamp: '2026-02-30T00:00:00Z' }, 'timestamp'],
    [
      'a time before events are kept',
      { timestamp: new Date(Date.now() - (RETENTION_DAYS + 1) * 86_400_000).toISOString() },
      'timestamp',
    ],
    ['a time too far ahead', { timestamp: new Date(Date.now() + 600_000).toISOString() }, 'timestamp'],
    ['a payload that is too large', { payload: { a: 'x'.repeat(100_000) } }, 'payload'],
  ] as const) {
    it(`refuses ${what} with 422 and names the field`, async () => {
      const { status, body } = await api.send(event(changes));
      assert.equal(status, 422);
      assert.deepEqual(
        body.errors.map((error: { field: string }) => error.field),
        [field],
      );
    });
  }

  it('keeps all digits of numbers: those that would be rounded become strings', async () => {
    const numbers = '[9007199254740993,12345678901234567890,0.1234567890123456789,1e999,-1e-999,0.25,-7]';
    const text = JSON.stringify(event()).replace('"value":93', `"value":${numbers}`);
    const { status, body } = await api.send(text);
    assert.equal(status, 201);
    const kept = [
      '9007199254740993',
      '12345678901234567890',
      '0.1234567890123456789',
      '1e999',
      '-1e-999',
      0.25,
      -7,
    ];
    assert.deepEqual(body.payload.value, kept);
    const stored = await api.get(`/events/${body.id}`);
    assert.deepEqual(stored.body.payload.value, kept);
    // Sent again, it is the same event.
    const again = await api.send(text);
    assert.deepEqual([again.status, again.body], [200, body]);
  });

  it('repairs what PostgreSQL cannot store: NUL, halves of surrogate pairs, invalid UTF-8', async () => {
    const bad = { source_id: 'abc\0def', payload: { 'a\0': ['\0', 'x\ud800'], raw: '??' } };
    const bytes = Buffer.from(JSON.stringify(event(bad)));
    bytes[bytes.indexOf('??')] = 0xff;
    const { status, body } = await api.send(bytes);
    assert.equal(status, 201);
    assert.equal(body.source_id, 'abc\ufffddef');
    assert.deepEqual(body.payload, { 'a\ufffd': ['\ufffd', 'x\ufffd'], raw: '\ufffd?' });
    const again = await api.send(bytes);
    assert.deepEqual([again.status, again.body], [200, body]);
  });

  it('accepts times in the forms that the reference accepts', async () => {
    const now = Math.floor(Date.now() / 1000);
    const iso = new Date(now * 1000).toISOString();
    const plain = iso.slice(0, 19);
    for (const timestamp of [
      ...[
        iso.toLowerCase(),
        plain.replace('T', ' '),
        `${plain}+0000`,
        `${plain}Z`,
        now,
        now * 1000,
        String(now),
      ],
      `${plain.slice(0, 16)}Z`,
    ]) {
      const { status, body } = await api.send(event({ timestamp }));
      assert.equal(status, 201, String(timestamp));
      const wanted = String(timestamp).length === 17 ? `${plain.slice(0, 16)}:00.000Z` : `${plain}.000Z`;
      assert.equal(body.timestamp, wanted, String(timestamp));
    }
  });

  it('keeps the largest possible numbers', async () => {
    const { status, body } = await api.send(event({ payload: { large: 1.5e308, small: -1e-300 } }));
    assert.equal(status, 201);
    assert.deepEqual(body.payload, { large: 1.5e308, small: -1e-300 });
  });

  it('survives deep nesting', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    assert.equal((await api.send(deep)).status, 422);
    const nested = JSON.stringify(event({ payload: { deep: 0 } })).replace('"deep":0', `"deep":${deep}`);
    assert.equal((await api.send(nested)).status, 422);
    assert.equal((await api.send('['.repeat(500_000))).status, 400);
    assert.equal((await api.send(event())).status, 201);
  });

  it('cannot be used to change prototypes', async () => {
    const text = JSON.stringify(event()).replace('"payload":{', '"payload":{"__proto__":{"polluted":true},');
    assert.equal((await api.send(text)).status, 201);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });

  for (const [what, body] of [
    ['no JSON', '{"a":'],
    ['two documents', '{} {}'],
    ['a body that is UTF-16', Buffer.from('{}', 'utf16le')],
  ] as const) {
    it(`answers ${what} with 400`, async () => {
      assert.equal((await api.send(body)).status, 400);
    });
  }

  for (const body of ['null', '5', '"text"', '[]', '[{}]', '{}', undefined]) {
    it(`answers the body ${body ?? '(none)'} with 422`, async () => {
      assert.equal((await api.send(body)).status, 422);
    });
  }

  it('answers a media type other than JSON with 415', async () => {
    for (const type of ['text/plain', 'application/xml', 'application/json; charset=latin1']) {
      const headers = { 'content-type': type, 'x-ingest-token': TOKEN };
      assert.equal((await api.send(event(), headers)).status, 415);
    }
    const compressed = { 'content-encoding': 'br', 'x-ingest-token': TOKEN };
    assert.equal((await api.send(event(), compressed)).status, 415);
  });

  it('accepts other names of JSON', async () => {
    for (const type of ['application/json; charset=UTF-8', 'application/vnd.api+json', 'APPLICATION/JSON']) {
      const headers = { 'content-type': type, 'x-ingest-token': TOKEN };
      assert.equal((await api.send(event(), headers)).status, 201);
    }
  });

  it('answers a body above 1 MiB with 413, even without a declared length', async () => {
    const large = JSON.stringify(event({ payload: { a: 'x'.repeat(1 << 20) } }));
    assert.equal((await api.send(large)).status, 413);
    const response = await fetch(`${api.url}/internal/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-ingest-token': TOKEN },
      body: new Blob([large]).stream(),
      duplex: 'half',
    } as RequestInit);
    assert.equal(response.status, 413);
    await response.text();
  });
});

describe('POST /internal/events when it cannot store', () => {
  for (const [what, error] of [
    ['a full buffer', new BufferFull(2)],
    ['PostgreSQL away', new StoreUnavailable('connection refused by secret-host')],
  ] as const) {
    it(`answers ${what} with 503 and when to try again`, async () => {
      const api = await stage({
        change: ({ ingest }) => ({ ingest: { ...ingest, accept: () => Promise.reject(error) } }),
      });
      try {
        const { status, body } = await api.send(event());
        assert.equal(status, 503);
        assert.doesNotMatch(body.detail, /secret-host/);
      } finally {
        await api.close();
      }
    });
  }
});
