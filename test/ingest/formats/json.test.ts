import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BUILT_IN, type MappingDefinition } from '../../../domain/mapping.ts';
import { mapper } from '../../../ingest/formats/json.ts';

const plain: MappingDefinition = {
  id: [],
  source: ['source'],
  type: ['type'],
  severity: ['level'],
  time: ['time'],
  defaults: { source: 'nobody', type: 'log', severity: 'info' },
  time_format: 'auto',
  severities: {},
  payload: 'all',
  dedupe: false,
};

function mapped(record: unknown, changes: Partial<MappingDefinition> = {}) {
  const item = mapper({ ...plain, ...changes })(record);
  assert.ok('event' in item, JSON.stringify(item));
  return item.event;
}
const built = (name: string, record: unknown) => mapped(record, BUILT_IN[name]);

describe('a mapping', () => {
  it('takes the first path that a record has, as a key or through keys, and defaults for what it has not', () => {
    const source = ['kubernetes.pod', 'host'];
    assert.equal(mapped({ host: 'web-1', kubernetes: { pod: 'cart-7' } }, { source }).source_id, 'cart-7');
    assert.equal(mapped({ host: 'web-1', 'kubernetes.pod': 'dotted' }, { source }).source_id, 'dotted');
    assert.equal(mapped({ host: 'web-1', kubernetes: { pod: '' } }, { source }).source_id, 'web-1');
    assert.equal(mapped({ host: { name: 'an object' } }, { source }).source_id, 'nobody');
    assert.deepEqual(mapped({}), { source_id: 'nobody', event_type: 'log', severity: 'info', payload: {} });
  });

  it('looks at what a record itself has, never at what every object has', () => {
    const paths = ['constructor.name', '__proto__.x', 'toString'];
    assert.equal(mapped({}, { source: paths }).source_id, 'nobody');
    assert.equal(mapped(JSON.parse('{"__proto__":{"x":"own"}}'), { source: paths }).source_id, 'own');
  });

  it('knows log levels by name and number, its own first, and keeps others as they are', () => {
    for (const [level, severity] of [
      ['WARN', 'medium'],
      ['err', 'high'],
      [3, 'high'],
      ['3', 'high'],
      [50, 'high'],
      ['emerg', 'critical'],
      ['notice', 'low'],
      ['Debug', 'info'],
      ['odd', 'odd'],
      ['constructor', 'constructor'],
    ]) {
      assert.equal(mapped({ level }).severity, severity);
    }
    assert.equal(mapped({ level: 'Warn' }, { severities: { warn: 'critical' } }).severity, 'critical');
  });

  it('reads times in every form that loggers write', () => {
    const at = '2026-11-24T17:31:00.123Z';
    const ms = Date.parse(at);
    const times: [unknown, string][] = [
      [ms / 1000, at],
      [`${ms / 1000}`, at],
      [ms, at],
      [ms * 1000, at],
      [`${ms}000000`, at],
      ['2026-11-24T17:31:00.123456789+01:00', '2026-11-24T17:31:00.123456789+01:00'],
      ['2026-11-24 17:31:00,123', '2026-11-24T17:31:00.123'],
      ['2026-11-24t17:31:00z', '2026-11-24T17:31:00Z'],
    ];
    for (const [time, read] of times) assert.equal(mapped({ time }).timestamp, read);
    assert.equal(mapped({ time: 1 }, { time_format: 'epoch_ms' }).timestamp, '1970-01-01T00:00:00.001Z');
    assert.equal(mapped({ time: 2e11 }, { time_format: 'epoch_s' }).timestamp, '8307-10-01T19:33:20.000Z');
    assert.equal(mapped({ time: '20261124' }, { time_format: 'rfc3339' }).timestamp, '20261124');
  });

  it('names the field of a time that is none', () => {
    for (const [time, time_format] of [
      ['yesterday', 'epoch_s'],
      [1e300, 'auto'],
      [true, 'epoch_ms'],
    ] as const) {
      assert.deepEqual(mapper({ ...plain, time_format })({ time }), {
        invalid: [{ field: 'timestamp', reason: 'time is no time that is understood' }],
      });
    }
  });

  it('leaves out of the payload what is elsewhere, where only the rest is wanted', () => {
    const record = { source: 'web', a: { level: 'warn', kept: 1 }, message: 'm' };
    const rest = { payload: 'rest', severity: ['a.level'] } as const;
    assert.deepEqual(mapped(record, { ...rest, severity: ['a.level'] }).payload, {
      a: { kept: 1 },
      message: 'm',
    });
    assert.deepEqual(record.a, { level: 'warn', kept: 1 });
    assert.deepEqual(mapped(record).payload, record);
  });

  it('makes an id of the one that a record has within its source, and none where it has none', () => {
    const id = { id: ['id'] };
    const uuid = '6f8a2e0c-3b1d-4c5e-9f70-1a2b3c4d5e6f';
    assert.equal(mapped({ id: uuid }, id).event_id, uuid);
    const first = mapped({ id: 7, source: 'one' }, id).event_id;
    assert.equal(mapped({ id: '7', source: 'one', more: true }, id).event_id, first);
    assert.notEqual(mapped({ id: 7, source: 'two' }, id).event_id, first);
    assert.equal(mapped({ source: 'one' }, id).event_id, undefined);
  });

  it('takes equal records for one only if it says so, and if they have a time', () => {
    const record = { time: 1764000000, message: 'tick' };
    assert.equal(mapped(record).event_id, undefined);
    const { event_id } = mapped(record, { dedupe: true });
    assert.ok(event_id);
    assert.equal(mapped(record, { dedupe: true }).event_id, event_id);
    assert.notEqual(mapped({ ...record, message: 'tock' }, { dedupe: true }).event_id, event_id);
    assert.equal(mapped({ message: 'tick' }, { dedupe: true }).event_id, undefined);
  });

  it('makes nothing of what is no object', () => {
    for (const record of [null, 5, 'text', [1]]) {
      assert.deepEqual(mapper(plain)(record), { invalid: [{ field: '', reason: 'must be an object' }] });
    }
  });

  it('never throws, whatever a record is', () => {
    const time_format = fc.constantFrom('auto', 'rfc3339', 'epoch_s', 'epoch_ms' as const);
    const record = fc.record(
      { time: fc.jsonValue(), source: fc.jsonValue(), level: fc.jsonValue() },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(record, fc.jsonValue()), time_format, (given, format) => {
        mapper({ ...plain, time_format: format as 'auto', payload: 'rest', id: ['level'] })(given);
      }),
    );
  });
});

describe('a built-in mapping', () => {
  it('fluent-bit: tail and systemd inputs, with Kubernetes metadata', () => {
    const { payload: _, ...event } = built('fluent-bit', {
      date: 1764000000.123457,
      log: 'boom',
      level: 'error',
      kubernetes: { pod_name: 'cart-7', namespace_name: 'shop' },
    });
    assert.deepEqual(event, {
      source_id: 'cart-7',
      event_type: 'log',
      severity: 'high',
      timestamp: '2025-11-24T16:00:00.123Z',
    });
    const journal = built('fluent-bit', {
      date: '2026-11-24T17:31:00.123456Z',
      _HOSTNAME: 'web-1',
      SYSLOG_IDENTIFIER: 'sshd',
      PRIORITY: '4',
      MESSAGE: 'm',
    });
    assert.deepEqual([journal.source_id, journal.event_type, journal.severity], ['web-1', 'sshd', 'medium']);
  });

  it('vector: file and syslog sources', () => {
    const { payload: _, ...event } = built('vector', {
      appname: 'sshd',
      facility: 'auth',
      host: 'web-1',
      message: 'm',
      severity: 'err',
      source_type: 'syslog',
      timestamp: '2026-11-24T17:31:00.123456789Z',
    });
    assert.deepEqual(event, {
      source_id: 'web-1',
      event_type: 'sshd',
      severity: 'high',
      timestamp: '2026-11-24T17:31:00.123456789Z',
    });
  });

  it('syslog-ng: format-json with ISODATE', () => {
    const record = {
      PROGRAM: 'sshd',
      PRIORITY: 'crit',
      PID: '17',
      MESSAGE: 'm',
      ISODATE: '2026-11-24T17:31:00+00:00',
      HOST: 'web-1',
      FACILITY: 'auth',
      DATE: 'Nov 24 17:31:00',
    };
    assert.deepEqual(built('syslog-ng', record), {
      source_id: 'web-1',
      event_type: 'sshd',
      severity: 'critical',
      timestamp: '2026-11-24T17:31:00+00:00',
      payload: record,
    });
  });
});
