import assert from 'node:assert/strict';
import { MAX_AHEAD_MS } from '../../../domain/events/event.ts';
import { MAX_DEPTH, MAX_PAYLOAD, validateEvent } from '../../../ingest/append/validate.ts';

const NOW = Date.UTC(2026, 4, 4, 12);
const RETENTION = 30 * 86_400_000;
const GOOD = { source_id: 'web-1', severity: 'high', event_type: 'disk.full' };

const validate = (input: unknown) => validateEvent(input, { now: NOW, retentionMs: RETENTION });

function accepted(input: object) {
  const result = validate({ ...GOOD, ...input });
  assert.ok('event' in result, JSON.stringify(result));
  return result;
}

/** The fields with an error. */
function refused(input: object): string[] {
  const result = validate({ ...GOOD, ...input });
  assert.ok('invalid' in result, 'accepted');
  for (const { reason } of result.invalid) assert.ok(reason.length > 3);
  return result.invalid.map(({ field }) => field);
}

const time = (timestamp: string) => accepted({ timestamp }).event.occurred_at;
const nested = (depth: number) => JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);

describe('validation', () => {
  it('fixes the identity once: it makes up a missing id or time, and keeps given ones', () => {
    const made = accepted({});
    assert.match(made.event.event_id, /^[0-9a-f-]{36}$/);
    assert.equal(made.event.occurred_at, NOW);
    assert.equal(made.timeGiven, true);
    assert.deepEqual(made.event.payload, {});

    const event_id = '0191F0A0-0000-7000-8000-00000000000A';
    const given = accepted({ event_id, timestamp: '2026-05-04T11:59:59Z' });
    assert.equal(given.event.event_id, event_id.toLowerCase());
    assert.equal(given.event.occurred_at, NOW - 1000);
    assert.equal(given.timeGiven, true);
  });

  it('leaves the time open if an id came without one, so that retries agree on it', () => {
    const { event, timeGiven } = accepted({ event_id: '0191f0a0-0000-7000-8000-00000000000a' });
    assert.equal(timeGiven, false);
    assert.equal(event.occurred_at, NOW);
  });

  it('reads a time without a zone as UTC, whatever the zone of the machine, and obeys a zone', () => {
    const { TZ } = process.env;
    process.env.TZ = 'Asia/Kolkata';
    assert.equal(time('2026-05-04T11:00:00'), NOW - 3_600_000);
    assert.equal(time('2026-05-04T11:00:00Z'), NOW - 3_600_000);
    assert.equal(time('2026-05-04T13:00:00+02:00'), NOW - 3_600_000);
    assert.equal(time('2026-05-04T05:30:00-05:30'), NOW - 3_600_000);
    process.env.TZ = TZ ?? 'UTC';
  });

  it('accepts the forms of time that the reference accepts', () => {
    for (const timestamp of [
      ...['2026-05-04t11:00:00z', '2026-05-04 11:00:00', '2026-05-04T11:00+0000', '2026-05-04T11:00Z'],
      ...[(NOW - 3_600_000) / 1000, NOW - 3_600_000, String((NOW - 3_600_000) / 1000)],
    ]) {
      assert.equal(accepted({ timestamp }).event.occurred_at, NOW - 3_600_000, String(timestamp));
    }
    assert.equal(time('2026-05-04T10:59:60Z'), NOW - 3_600_000, 'a leap second');
  });

  it('cuts times to whole milliseconds', () => {
    assert.equal(time('2026-05-04T11:00:00.123456Z'), NOW - 3_600_000 + 123);
    assert.equal(time('2026-05-04T11:00:00.9999'), NOW - 3_600_000 + 999);
    assert.equal(time('2026-05-04T11:00:00.1'), NOW - 3_600_000 + 100);
  });

  it('refuses an invalid time', () => {
    for (const timestamp of [
      '',
      'yesterday',
      '2026-02-30T00:00:00Z',
      '2026-05-04T25:00:00Z',
      '2026-05-04T11:00:00+99:00',
      '-002026-05-04T11:00:00Z',
      null,
      {},
    ]) {
      assert.deepEqual(refused({ timestamp }), ['timestamp'], String(timestamp));
    }
  });

  it('refuses a time older than the retention or too far in the future, to the millisecond', () => {
    const iso = (at: number) => new Date(at).toISOString();
    assert.equal(time(iso(NOW - RETENTION)), NOW - RETENTION);
    assert.deepEqual(refused({ timestamp: iso(NOW - RETENTION - 1) }), ['timestamp']);
    assert.equal(time(iso(NOW + MAX_AHEAD_MS)), NOW + MAX_AHEAD_MS);
    assert.deepEqual(refused({ timestamp: iso(NOW + MAX_AHEAD_MS + 1) }), ['timestamp']);
    assert.deepEqual(refused({ timestamp: '0001-01-01T00:00:00Z' }), ['timestamp']);
    assert.deepEqual(refused({ timestamp: '9999-12-31T23:59:59Z' }), ['timestamp']);
  });

  it('repairs text that PostgreSQL cannot store, wherever it is', () => {
    for (const [bad, kept] of [
      ['nul\0', 'nul\ufffd'],
      ['high \ud800', 'high \ufffd'],
      ['low \udc00', 'low \ufffd'],
      ['\udc00\ud800', '\ufffd\ufffd'],
    ] as const) {
      for (const field of ['source_id', 'severity', 'event_type'] as const) {
        assert.equal(accepted({ [field]: `abc${bad}` }).event[field], `abc${kept}`);
      }
      const { payload } = accepted({ payload: { a: [{ b: bad }], c: { [bad]: 1, d: bad } } }).event;
      assert.deepEqual(payload, { a: [{ b: kept }], c: { [kept]: 1, d: kept } });
    }
    assert.equal(accepted({ severity: 'süß 😀' }).event.severity, 'süß 😀');
  });

  it('refuses numbers that are too large for a double', () => {
    assert.deepEqual(refused({ payload: JSON.parse('{"a": 1e999}') }), ['payload']);
    assert.deepEqual(refused({ payload: JSON.parse('{"a": [-1e999]}') }), ['payload']);
    assert.equal(accepted({ payload: { a: 1e308, b: 5e-324 } }).event.payload.a, 1e308);
  });

  it('refuses deep nesting without exhausting the stack', () => {
    accepted({ payload: nested(MAX_DEPTH) });
    assert.deepEqual(refused({ payload: nested(MAX_DEPTH + 1) }), ['payload']);
    assert.deepEqual(refused({ payload: nested(10_000) }), ['payload']);
    const list = JSON.parse(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
    assert.deepEqual(refused({ payload: list }), ['payload']);
  });

  it('refuses a payload that is too long', () => {
    const frame = '{"a":""}'.length;
    accepted({ payload: { a: 'x'.repeat(MAX_PAYLOAD - frame) } });
    assert.deepEqual(refused({ payload: { a: 'x'.repeat(MAX_PAYLOAD - frame + 1) } }), ['payload']);
    const wide = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]));
    assert.deepEqual(refused({ payload: wide }), ['payload']);
  });

  it('cuts the longest texts of a payload if its sender cannot react to a refusal, and says so', () => {
    const lenient = (payload: object) =>
      validateEvent({ ...GOOD, payload }, { now: NOW, retentionMs: RETENTION }, true);
    const stack = 'at f()\n'.repeat(40_000);
    const result = lenient({ stack, trace: { id: 'abc' }, list: [stack, 1] });
    assert.ok('event' in result);
    const { payload } = result.event;
    assert.ok(JSON.stringify(payload).length <= MAX_PAYLOAD);
    assert.match(String(payload.stack), /^at f\(\)\n[\s\S]+… \[cut from 280000 characters\]$/);
    assert.deepEqual(payload.trace, { id: 'abc' });
    assert.ok(
      'invalid' in lenient(Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]))),
    );
  });

  it('treats a time in the future as now if the sender cannot react to a refusal', () => {
    const ahead = new Date(NOW + 3_600_000).toISOString();
    const event_id = '0191f0a0-0000-7000-8000-00000000000a';
    const result = validateEvent(
      { ...GOOD, event_id, timestamp: ahead },
      { now: NOW, retentionMs: RETENTION },
      true,
    );
    assert.ok('event' in result);
    assert.equal(result.event.occurred_at, NOW);
    assert.equal(result.timeGiven, false, 'sent again it has the time that it had first');
    assert.deepEqual(result.event.payload, { claimed_timestamp: ahead });
  });

  it('names all invalid fields at once', () => {
    const fields = refused({
      event_id: 'not-a-uuid',
      source_id: 'ab',
      severity: '',
      event_type: 'x'.repeat(65),
      timestamp: 'x',
      payload: [],
    });
    assert.deepEqual(fields.sort(), [
      ...['event_id', 'event_type', 'payload', 'severity', 'source_id', 'timestamp'],
    ]);
    assert.deepEqual(refused({ source_id: 'x'.repeat(101), severity: 'x'.repeat(33) }), [
      'source_id',
      'severity',
    ]);
  });

  it('refuses anything that is not an event', () => {
    for (const input of [undefined, null, 5, 'event', [], [GOOD], {}]) {
      assert.ok('invalid' in validate(input), JSON.stringify(input));
    }
  });

  it('keeps a hostile key as a key', () => {
    const payload = JSON.parse(
      '{"inner": {"__proto__": {"admin": true}}, "constructor": 1, "__proto__": {"a": "\\u0000"}}',
    );
    const { event } = accepted({ payload });
    assert.equal(({} as { admin?: unknown }).admin, undefined);
    assert.equal((event.payload as { admin?: unknown }).admin, undefined);
    assert.equal(
      JSON.stringify(event.payload),
      '{"inner":{"__proto__":{"admin":true}},"constructor":1,"__proto__":{"a":"\ufffd"}}',
    );
  });
});
