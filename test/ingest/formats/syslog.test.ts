import assert from 'node:assert/strict';
import type { Event } from '../../../domain/events/event.ts';
import { BUILT_IN, type MappingDefinition } from '../../../domain/events/mapping.ts';
import { validateEvent } from '../../../ingest/append/validate.ts';
import { mapper } from '../../../ingest/formats/mapped-json.ts';

const NOW = Date.UTC(2003, 9, 12);

/** What is stored of a record that arrives the day after the time in RFC 5424's examples. */
function stored(record: object, mapping: Partial<MappingDefinition> = {}): Event {
  const item = mapper({ ...BUILT_IN['fluent-bit']!, ...mapping })(record);
  assert.ok('event' in item, JSON.stringify(item));
  const result = validateEvent(item.event, { now: NOW, retentionMs: 20 * 365 * 86_400_000 }, item.lenient);
  assert.ok('event' in result, JSON.stringify(result));
  return result.event;
}

describe('a syslog message from a shipper', () => {
  it('gets the right severity for every severity of RFC 5424, as a number, as a name and within a priority', () => {
    const levels = [
      ...[['Emergency', 'critical'] as const, ['Alert', 'critical'] as const],
      ...[['Critical', 'critical'] as const, ['Error', 'high'] as const, ['Warning', 'medium'] as const],
      ...[['Notice', 'low'] as const, ['Informational', 'info'] as const, ['Debug', 'info'] as const],
    ];
    for (const [code, [name, severity]] of levels.entries()) {
      for (const level of [code, String(code), name, name.toLowerCase()]) {
        assert.equal(stored({ severity: level }).severity, severity, String(level));
      }
      for (let facility = 0; facility <= 23; facility++) {
        assert.equal(stored({ pri: facility * 8 + code }).severity, severity, `${facility}.${name}`);
      }
    }
  });

  it('happened at its timestamp, in any zone and with any fraction, or now if that is nil', () => {
    for (const [time, instant] of [
      ['1985-04-12T23:20:50.52Z', '1985-04-12T23:20:50.520Z'],
      ['1985-04-12T19:20:50.52-04:00', '1985-04-12T23:20:50.520Z'],
      ['2003-10-11T22:14:15.003Z', '2003-10-11T22:14:15.003Z'],
      ['2003-08-24T05:14:15.000003-07:00', '2003-08-24T12:14:15.000Z'],
      // RFC 5424 calls these invalid: nine digits of a second, and a leap second.
      ['2003-08-24T05:14:15.000000003-07:00', '2003-08-24T12:14:15.000Z'],
      ['1998-12-31T23:59:60Z', '1999-01-01T00:00:00.000Z'],
      ['-', new Date(NOW).toISOString()],
    ] as const) {
      assert.equal(new Date(stored({ time }).occurred_at).toISOString(), instant, time);
    }
  });

  it('is refused for a time of RFC 3164, which has no year and no zone', () => {
    const item = mapper(BUILT_IN['fluent-bit']!)({ host: 'web-1', time: 'Oct 11 22:14:15' });
    assert.ok('event' in item);
    const result = validateEvent(item.event, { now: NOW, retentionMs: 86_400_000 }, item.lenient);
    assert.ok('invalid' in result);
    assert.deepEqual(
      result.invalid.map(({ field }) => field),
      ['timestamp'],
    );
  });

  it('has the source of its host, whether that is a name or an address, of any length', () => {
    for (const host of ['mymachine.example.com', '192.0.2.1', '2001:db8::8:800:200c:417a', '::1']) {
      assert.equal(stored({ host }).source_id, host);
    }
    const [one, other] = ['a', 'b'].map((end) => stored({ host: `${'h'.repeat(254)}${end}` }).source_id);
    assert.equal(one!.length, 100);
    assert.notEqual(one, other);
  });

  it('has the type of its application, or of its message’s type if a mapping names that', () => {
    const record = { host: 'fw-1', ident: 'a'.repeat(48), pid: '8710', msgid: 'TCPIN' };
    const { event_type, payload } = stored(record);
    assert.deepEqual([event_type, payload], [record.ident, record]);
    assert.equal(stored(record, { type: ['msgid', 'ident'] }).event_type, 'TCPIN');
    assert.equal(stored({ ...record, msgid: '-' }, { type: ['msgid', 'ident'] }).event_type, record.ident);
  });

  it('keeps its structured data as the shipper wrote it, and a mapping can name each parameter', () => {
    const data = {
      'exampleSDID@32473': { iut: '3', eventSource: 'a "b" \\ ] \u00e9\u0007', eventID: '1011' },
      timeQuality: { tzKnown: '0', isSynced: '0' },
      origin: { ip: ['192.0.2.1', '192.0.2.129'] },
      meta: { sequenceId: '2147483647', language: 'en' },
    };
    const record = { host: 'web-1', time: '2003-10-11T22:14:15.003Z', sd: data };
    const event = stored(record, { type: ['sd["exampleSDID@32473"].eventID'] });
    assert.deepEqual([event.event_type, event.payload], ['1011', record]);
    assert.equal(new Date(event.occurred_at).toISOString(), record.time);
  });

  it('keeps its text, including a byte order mark and control characters, with U+FFFD for NUL', () => {
    const text = '\ufeff\u2019su root\u2019 failed\t\u0007\u001b[0m';
    assert.equal(stored({ message: text }).payload.message, text);
    assert.equal(stored({ message: 'shown\0hidden' }).payload.message, 'shown\ufffdhidden');
    const wordless = { host: 'web-1', sd: { 'a@32473': { b: 'c' } } };
    assert.deepEqual(stored(wordless).payload, wordless, 'a message may have structured data alone');
  });
});

describe('a record in the Elastic Common Schema', () => {
  const record = {
    ...{ '@timestamp': '2003-10-11T22:14:15.003Z', host: { name: 'web-1' }, log: { level: 'error' } },
    event: {
      ...{ id: '8a4f500d', code: '4648', kind: 'event', category: ['process'], type: ['start', 'info'] },
      ...{ action: 'process-started', dataset: 'system.process', severity: 7, timezone: '-05:00' },
      ...{ created: '2003-10-11T22:14:16Z', ingested: '2003-10-11T22:14:17Z', outcome: 'success' },
    },
    process: { name: 'ssh', pid: 4242, parent: { name: 'bash', pid: 4241 } },
  };

  it('has the type of its action, dataset or process, and lists and parents are no type', () => {
    assert.equal(stored(record).event_type, 'process-started');
    const { action: _action, ...event } = record.event;
    assert.equal(stored({ ...record, event }).event_type, 'system.process');
    const { dataset: _dataset, ...rest } = event;
    assert.equal(stored({ ...record, event: rest }).event_type, 'ssh');
    assert.equal(stored({ ...record, event: rest, process: { parent: { name: 'bash' } } }).event_type, 'log');
  });

  it('has its own time and level, whatever other times, ids and severities its event has', () => {
    const { occurred_at, severity, event_id, payload } = stored(record);
    assert.equal(new Date(occurred_at).toISOString(), record['@timestamp']);
    assert.equal(severity, 'high');
    assert.notEqual(event_id, stored(record).event_id, 'the id in the record is not its identity');
    assert.deepEqual(payload, record);
    const named = { id: ['event.id'], severity: ['event.severity'] };
    assert.equal(stored(record, named).event_id, stored(record, named).event_id);
    assert.equal(stored(record, { ...named, severities: { 7: 'low' } }).severity, 'low');
  });
});
