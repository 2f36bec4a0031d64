import assert from 'node:assert/strict';
import { BUILT_IN, type MappingDefinition } from '../../../domain/events/mapping.ts';
import { mapper } from '../../../ingest/formats/mapped-json.ts';

const NOTHING: MappingDefinition = {
  ...{ id: [], source: [], type: [], severity: [], time: [] },
  defaults: { source: 'unknown', type: 'log', severity: 'info' },
  time_format: 'auto',
  severities: {},
  payload: 'all',
  dedupe: false,
};

function mapped(record: unknown, mapping: Partial<MappingDefinition>) {
  const item = mapper({ ...NOTHING, ...mapping })(record);
  assert.ok('event' in item, JSON.stringify(item));
  return item.event;
}
function refused(record: unknown, mapping: Partial<MappingDefinition> = {}) {
  const item = mapper({ ...NOTHING, ...mapping })(record);
  assert.ok('invalid' in item, JSON.stringify(item));
  return item.invalid[0]!;
}
const at = (time: unknown, time_format: MappingDefinition['time_format'] = 'auto') =>
  mapped({ time }, { time: ['time'], time_format }).timestamp;

describe('a record of a log shipper as an event', () => {
  it('has the defaults of its mapping if the record has no value', () => {
    assert.deepEqual(mapped({ a: 1 }, {}), {
      ...{ source_id: 'unknown', event_type: 'log', severity: 'info', payload: { a: 1 } },
    });
  });

  it('uses the first path that leads to a string or number: a key of that name, or nested keys', () => {
    const source = ['nowhere', 'a', 'b', 'c.d'];
    const from = (record: object) => mapped(record, { source }).source_id;
    assert.equal(from({ a: {}, b: null, c: { d: 'deep' } }), 'deep');
    assert.equal(from({ a: '', b: 4711, c: { d: 'deep' } }), '4711');
    assert.equal(from({ 'c.d': 'flat', c: { d: 'deep' } }), 'flat');
    assert.equal(from({ c: 'text' }), 'unknown');
  });

  it('ignores properties that the record only inherits', () => {
    const paths = ['__proto__.constructor.name', 'constructor.name', 'toString', 'text.length'];
    assert.equal(mapped({ text: 'abc' }, { source: paths }).source_id, 'unknown');
  });

  it('pads names that are too short and shortens those that are too long', () => {
    const event = mapped({ s: 'a', t: 't'.repeat(80) }, { source: ['s'], type: ['t'] });
    assert.equal(event.source_id, 'a__');
    assert.equal(event.event_type.length, 64);
  });

  it('reads times as RFC 3339, or as numbers of any usual size', () => {
    const instant = '2025-11-24T16:00:00.123Z';
    for (const time of [1764000000.123456, 1764000000123, 1764000000123456, '1764000000123456789']) {
      assert.equal(at(time), instant, String(time));
    }
    assert.equal(at(1764000000.123), instant);
    assert.equal(at('1764000000', 'epoch_s'), '2025-11-24T16:00:00.000Z');
  });

  it('reads times in the forms of common loggers', () => {
    assert.equal(at('2025-11-24 16:00:00,123+01:00'), '2025-11-24T16:00:00.123+01:00');
    assert.equal(at('2025-11-24t16:00:00z', 'rfc3339'), '2025-11-24T16:00:00Z');
    assert.equal(at('2025-11-24T16:00:00.5-0130'), '2025-11-24T16:00:00.5-01:30');
    assert.equal(at('2025-11-24 16:00:00 +0000'), '2025-11-24T16:00:00+00:00');
    assert.equal(at('2025-11-24 16:00:00+01'), '2025-11-24T16:00:00+01:00');
    assert.equal(at('2025-11-24'), '2025-11-24');
  });

  it('is refused for an invalid time, instead of getting another one', () => {
    const { field, reason } = refused({ at: { t: '1e99' } }, { time: ['at.t'] });
    assert.equal(field, 'timestamp');
    assert.match(reason, /^at\.t is not a time/);
    refused({ t: 'yesterday' }, { time: ['t'], time_format: 'epoch_ms' });
  });

  it('has its severity from the mapping’s table, else from the names and numbers of log levels, else unchanged', () => {
    const of = (level: unknown) =>
      mapped({ level }, { severity: ['level'], severities: { severe: 'high', warn: 'low' } }).severity;
    assert.equal(of('SEVERE'), 'high');
    assert.equal(of('Warn'), 'low');
    assert.equal(of('err'), 'high');
    assert.equal(of(3), 'high');
    assert.equal(of('0'), 'critical');
    assert.equal(of('__proto__'), '__proto__');
    assert.equal(of('x'.repeat(50)).length, 32);
  });

  it('has an id if the mapping has a path for it: a UUID as it is, anything else within its source', () => {
    const id = (record: object) => mapped(record, { id: ['id'], source: ['host'] }).event_id;
    const uuid = '01890a5d-ac96-774b-bcce-b302099a8057';
    assert.equal(id({ id: uuid, host: 'web-1' }), uuid);
    assert.equal(id({ id: 7, host: 'web-1' }), id({ id: '7', host: 'web-1', text: 'other' }));
    assert.notEqual(id({ id: 7, host: 'web-1' }), id({ id: 7, host: 'web-2' }));
    assert.equal(id({ host: 'web-1' }), undefined);
  });

  it('has an id made from its content if the mapping dedupes and it has a time', () => {
    const id = (record: object) => mapped(record, { time: ['t'], dedupe: true }).event_id;
    assert.ok(id({ t: 1764000000, text: 'a' }));
    assert.equal(id({ t: 1764000000, text: 'a' }), id({ t: 1764000000, text: 'a' }));
    assert.notEqual(id({ t: 1764000000, text: 'a' }), id({ t: 1764000000, text: 'b' }));
    assert.equal(id({ text: 'a' }), undefined);
  });

  it('keeps lists that its fields were in, and the positions of their other items', () => {
    const record = { tags: ['web', { level: 'warn', n: 1 }], n: 2 };
    const paths = { source: ['tags.length'], type: ['tags.0'], severity: ['tags.1.level'] };
    const { payload, source_id, event_type } = mapped(record, { ...paths, payload: 'rest' });
    assert.deepEqual(payload, { tags: [null, { n: 1 }], n: 2 });
    assert.deepEqual([source_id, event_type], ['unknown', 'web']);
    assert.deepEqual(record, { tags: ['web', { level: 'warn', n: 1 }], n: 2 });
  });

  it('is refused if its nesting is too deep to compare it with others', () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    const { field } = refused({ t: '2026-11-24T20:00:00Z', deep }, { time: ['t'], dedupe: true });
    assert.equal(field, 'payload');
  });

  it('keeps the whole record as payload, or the rest of it, and does not change the record', () => {
    const record = { host: 'web-1', k8s: { pod: 'p', ns: 'n' }, text: 'a' };
    const paths = { source: ['host'], type: ['k8s.pod'] };
    assert.equal(mapped(record, { ...paths, payload: 'all' }).payload, record);
    assert.deepEqual(mapped(record, { ...paths, payload: 'rest' }).payload, { k8s: { ns: 'n' }, text: 'a' });
    assert.deepEqual(record, { host: 'web-1', k8s: { pod: 'p', ns: 'n' }, text: 'a' });
    const hostile = JSON.parse('{"__proto__":{"polluted":"yes","x":1}}');
    mapped(hostile, { source: ['__proto__.polluted'], payload: 'rest' });
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });

  it('must be an object', () => {
    for (const record of [null, 5, 'text', [], [{}]])
      assert.equal(refused(record).reason, 'must be an object');
  });
});

describe('a built-in mapping', () => {
  it('reads what Fluent Bit makes of a container’s log', () => {
    const record = {
      ...{ date: 1764000000.123456, log: 'boom', stream: 'stderr', level: 'error' },
      kubernetes: { pod_name: 'cart-7d9f', namespace_name: 'shop', container_name: 'cart' },
    };
    assert.deepEqual(mapped(record, BUILT_IN['fluent-bit']!), {
      ...{ source_id: 'cart-7d9f', event_type: 'log', severity: 'high' },
      ...{ timestamp: '2025-11-24T16:00:00.123Z', payload: record },
    });
  });

  it('knows the fields of the Elastic Common Schema, nested or with dots', () => {
    const read = mapper(BUILT_IN['fluent-bit']!);
    for (const record of [
      { log: { level: 'error' }, host: { name: 'web-1' }, event: { action: 'login' }, message: 'x' },
      { 'log.level': 'error', 'host.name': 'web-1', 'event.action': 'login', message: 'x' },
    ]) {
      const item = read({ ...record, '@timestamp': '2026-05-04T11:00:00Z' });
      assert.ok('event' in item);
      const { source_id, event_type, severity, timestamp } = item.event;
      assert.deepEqual([source_id, event_type, severity], ['web-1', 'login', 'high']);
      assert.equal(timestamp, '2026-05-04T11:00:00Z');
    }
  });

  it('knows the fields of the Elastic Common Schema for syslog', () => {
    const syslog = { hostname: 'router-1', appname: 'sshd', priority: 27 };
    for (const name of ['fluent-bit', 'vector']) {
      const { source_id, event_type, severity } = mapped({ log: { syslog } }, BUILT_IN[name]!);
      assert.deepEqual([source_id, event_type, severity], ['router-1', 'sshd', 'high']);
    }
  });

  it('finds the severity in a priority of syslog', () => {
    // daemon.err, local0.info, mail.warning, syslog.emerg, kern.crit, user.notice.
    const levels = { 27: 'high', '134': 'info', 20: 'medium', 40: 'critical', 2: 'critical', 13: 'low' };
    for (const [pri, level] of Object.entries(levels)) {
      assert.equal(mapped({ pri }, BUILT_IN['fluent-bit']!).severity, level, pri);
      assert.equal(mapped({ pri: Number(pri) }, BUILT_IN['fluent-bit']!).severity, level, pri);
    }
    assert.equal(mapped({ pri: 'err' }, BUILT_IN['fluent-bit']!).severity, 'high');
    assert.equal(mapped({ pri: '192' }, BUILT_IN['fluent-bit']!).severity, '192');
    assert.equal(mapped({ level: 40 }, BUILT_IN['fluent-bit']!).severity, 'medium', 'a level of pino');
  });

  it('treats the nil value of syslog as absent', () => {
    const record = { host: '-', hostname: 'web-1', ident: '-', time: '-', level: '-' };
    assert.deepEqual(mapped(record, BUILT_IN['fluent-bit']!), {
      ...{ source_id: 'web-1', event_type: 'log', severity: 'info', payload: record },
    });
  });

  it('can name any key of a record, in brackets', () => {
    const record = JSON.parse(
      '{"a.b": {"": {"c d": "web-1"}}, "__proto__": {"kind": "login"}, "message": "x"}',
    );
    const paths = { source: ['["a.b"][""]["c d"]'], type: ['__proto__.kind'], payload: 'rest' as const };
    const item = mapper({ ...BUILT_IN['fluent-bit']!, ...paths })(record);
    assert.ok('event' in item);
    assert.deepEqual([item.event.source_id, item.event.event_type], ['web-1', 'login']);
    assert.equal(JSON.stringify(item.event.payload), '{"a.b":{"":{}},"__proto__":{},"message":"x"}');
  });

  it('reads what Vector makes of a syslog message', () => {
    const record = {
      ...{ appname: 'sshd', facility: 'auth', host: 'web-17', hostname: 'web-17', message: 'refused' },
      ...{ severity: 'warning', source_type: 'syslog', timestamp: '2025-11-24T16:00:00.123456789Z' },
    };
    assert.deepEqual(mapped(record, BUILT_IN.vector!), {
      ...{ source_id: 'web-17', event_type: 'sshd', severity: 'medium' },
      ...{ timestamp: '2025-11-24T16:00:00.123456789Z', payload: record },
    });
  });

  it('reads what syslog-ng makes of a message', () => {
    const record = {
      ...{ PROGRAM: 'sshd', PRIORITY: 'err', PID: '17', MESSAGE: 'boom', HOST: 'web-17', FACILITY: 'auth' },
      ISODATE: '2025-11-24T16:00:00+00:00',
    };
    assert.deepEqual(mapped(record, BUILT_IN['syslog-ng']!), {
      ...{ source_id: 'web-17', event_type: 'sshd', severity: 'high' },
      ...{ timestamp: '2025-11-24T16:00:00+00:00', payload: record },
    });
  });
});
