import assert from 'node:assert/strict';
import fc from 'fast-check';
import { countRecords, fromExport } from '../../../ingest/formats/otlp.ts';
import { decodeExport, hasMoreMessages } from '../../../ingest/formats/otlp-proto.ts';
import { Flaw } from '../../../ingest/formats/otlp-value.ts';

const attribute = (key: string, value: unknown) => ({ key, value });
const service = (name: string) => ({ attributes: [attribute('service.name', { stringValue: name })] });

/** An export with these records in one scope. */
const exporting = (logRecords: unknown[], resource: unknown = service('checkout')) => ({
  resourceLogs: [{ resource, scopeLogs: [{ scope: { name: 'pino' }, logRecords }] }],
});

function events(request: unknown) {
  return fromExport(request).map((item) => {
    assert.ok('event' in item, JSON.stringify(item));
    return item.event;
  });
}
const one = (record: object, resource?: unknown) => events(exporting([record], resource))[0]!;

function refused(record: unknown) {
  const [item] = fromExport(exporting([record]));
  assert.ok(item && 'invalid' in item, JSON.stringify(item));
  return item.invalid[0]!.reason;
}

describe('an OTLP log record as an event', () => {
  it('is no duplicate of an equal one if neither has a time', () => {
    const record = { body: { stringValue: 'again' } };
    for (const { event_id, timestamp } of events(exporting([record, record]))) {
      assert.deepEqual([event_id, timestamp], [undefined, undefined]);
    }
  });

  it('has a severity by the short names of the data model if it has no number', () => {
    const of = (severityText: string) => one({ severityText }).severity;
    for (const [name, severity] of Object.entries({ TRACE4: 'info', DEBUG2: 'info', INFO3: 'info' })) {
      assert.equal(of(name), severity);
    }
    assert.deepEqual(['WARN3', 'ERROR2', 'error1', 'FATAL4'].map(of), ['medium', 'high', 'high', 'critical']);
    assert.equal(of('ERROR5'), 'info');
  });

  it('keeps 64-bit integers with all digits, as strings', () => {
    const { payload } = one({
      timeUnixNano: '1764000000123456789',
      attributes: [attribute('id', { intValue: '9007199254740993' }), attribute('n', { intValue: '7' })],
    });
    assert.deepEqual(payload!.attributes, { id: '9007199254740993', n: 7 });
  });

  it('keeps all of its fields', () => {
    const record = {
      timeUnixNano: '1764000000123456789',
      observedTimeUnixNano: 1764000000200,
      severityNumber: 17,
      severityText: 'ERROR',
      body: { stringValue: 'boom' },
      attributes: [attribute('http.status_code', { intValue: '500' })],
      traceId: '0AF7651916CD43DD8448EB211C80319C',
      spanId: 'b7ad6b7169203331',
      flags: 1,
      aFieldOfTomorrow: { nested: true },
    };
    const { event_id, ...event } = one(record);
    assert.match(event_id!, /^[0-9a-f]{8}-[0-9a-f]{4}-5/);
    assert.deepEqual(event, {
      source_id: 'checkout',
      event_type: 'log',
      severity: 'high',
      timestamp: '2025-11-24T16:00:00.123Z',
      payload: {
        body: 'boom',
        attributes: { 'http.status_code': 500 },
        severity_number: 17,
        severity_text: 'ERROR',
        trace_id: '0af7651916cd43dd8448eb211c80319c',
        span_id: 'b7ad6b7169203331',
        flags: 1,
        time_unix_nano: '1764000000123456789',
        observed_time_unix_nano: '1764000000200',
        resource: { 'service.name': 'checkout' },
        scope: { name: 'pino' },
      },
    });
  });

  it('has a severity for each number, or by its text if it has no number', () => {
    const severities = Array.from({ length: 25 }, (_, severityNumber) => one({ severityNumber }).severity);
    assert.deepEqual(severities.slice(1), [
      ...new Array(12).fill('info'),
      ...new Array(4).fill('medium'),
      ...new Array(4).fill('high'),
      ...new Array(4).fill('critical'),
    ]);
    assert.equal(one({ severityText: 'Warning' }).severity, 'medium');
    assert.equal(one({ severityText: 'whatever' }).severity, 'info');
  });

  it('may have its numbers as strings, as JSON may for those of protobuf', () => {
    const { severity, payload } = one({
      severityNumber: '17',
      flags: '1',
      droppedAttributesCount: '4294967295',
    });
    assert.equal(severity, 'high');
    assert.deepEqual(
      [payload?.severity_number, payload?.flags, payload?.dropped_attributes_count],
      [17, 1, 4294967295],
    );
  });

  it('has the type of its event name, of the older attribute for that, or log', () => {
    const attributes = [attribute('event.name', { stringValue: 'old' })];
    assert.equal(one({ eventName: 'new', attributes }).event_type, 'new');
    assert.equal(one({ attributes }).event_type, 'old');
    assert.equal(one({}).event_type, 'log');
  });

  it('has the source of its service, or an unknown one', () => {
    assert.equal(one({}, {}).source_id, 'unknown_service');
    assert.equal(one({}, service('')).source_id, 'unknown_service');
    assert.equal(one({}, service('a')).source_id, 'a__');
    assert.equal(
      events({ resourceLogs: [{ scopeLogs: [{ logRecords: [{}] }] }] })[0]!.source_id,
      'unknown_service',
    );
  });

  it('happened at its time, else when it was observed, else now', () => {
    assert.equal(one({ observedTimeUnixNano: '1764000000123000000' }).timestamp, '2025-11-24T16:00:00.123Z');
    assert.equal(one({ timeUnixNano: '0' }).timestamp, undefined);
  });

  it('keeps every kind of value, and as a string what JSON cannot represent', () => {
    const values: [unknown, unknown][] = [
      [{ stringValue: '' }, ''],
      [{ boolValue: false }, false],
      [{ intValue: -7 }, -7],
      [{ intValue: '9223372036854775807' }, '9223372036854775807'],
      [{ doubleValue: 0.5 }, 0.5],
      [{ intValue: 9223372036854775000 }, '9223372036854775000'],
      [{ intValue: '-9223372036854775808' }, '-9223372036854775808'],
      [{ doubleValue: '1e3' }, 1000],
      [{ doubleValue: '1e400' }, '1e400'],
      [{ doubleValue: '-1e-400' }, '-1e-400'],
      [{ doubleValue: '0e7' }, 0],
      [{ doubleValue: 'NaN' }, 'NaN'],
      [{ doubleValue: '-Infinity' }, '-Infinity'],
      [{ bytesValue: 'AAEC' }, 'AAEC'],
      [{ arrayValue: { values: [{ intValue: 1 }, {}] } }, [1, null]],
      [{ arrayValue: {} }, []],
      [{ kvlistValue: { values: [attribute('__proto__', { intValue: 1 })] } }, JSON.parse('{"__proto__":1}')],
      [
        {
          kvlistValue: {
            values: [attribute('__proto__', { intValue: 1 }), attribute('__proto__', { intValue: 2 })],
          },
        },
        JSON.parse('{"__proto__":2}'),
      ],
      [{ valueOfTomorrow: 1 }, null],
      [JSON.parse('{"__proto__":1}'), null],
      ...['constructor', 'toString', 'hasOwnProperty', '__defineGetter__'].map((name): [unknown, null] => [
        { [name]: 'x' },
        null,
      ]),
      [null, null],
    ];
    const attributes = values.map(([value], i) => attribute(String(i), value));
    const { payload } = one({ attributes });
    assert.deepEqual(
      Object.values(payload?.attributes as object),
      values.map(([, kept]) => kept),
    );
    assert.equal(({} as { 1?: unknown })[1], undefined);
  });

  it('is stored without an invalid trace id or span id', () => {
    const valid = { traceId: '5B8EFFF798038103D269B633813FC60C', spanId: 'EEE19B7EC3C1B174' };
    const ids = (changes: object) => {
      const { trace_id, span_id } = one({ ...valid, ...changes }).payload as Record<string, unknown>;
      return [trace_id, span_id];
    };
    const [trace, span] = [valid.traceId.toLowerCase(), valid.spanId.toLowerCase()];
    assert.deepEqual(ids({}), [trace, span]);
    for (const traceId of ['0'.repeat(32), 'ab', 'ab'.repeat(17), 'xyz', 'g'.repeat(32), '', null]) {
      assert.deepEqual(ids({ traceId }), [undefined, span], String(traceId));
    }
    for (const spanId of ['0'.repeat(16), 'ab'.repeat(16), 'xyz'])
      assert.deepEqual(ids({ spanId }), [trace, undefined], spanId);
    assert.deepEqual(ids({ traceId: Buffer.alloc(16), spanId: Buffer.alloc(8, 1) }), [
      undefined,
      '01'.repeat(8),
    ]);
  });

  it('has null for a value that refers to a profile, which logs do not have', () => {
    const { payload } = one({
      attributes: [attribute('a', { stringValueStrindex: 3 }), attribute('b', { intValue: 1 })],
    });
    assert.deepEqual(payload!.attributes, { a: null, b: 1 });
  });

  for (const [what, record, reason] of [
    ['no object', 5, /object/],
    ['an id that is no text', { traceId: 5 }, /traceId must be hex/],
    ['a text for a severity number', { severityNumber: 'SEVERITY_NUMBER_INFO' }, /severityNumber/],
    ['a fraction for an integer', { attributes: [attribute('a', { intValue: 0.5 })] }, /intValue/],
    ['a time that is none', { timeUnixNano: 'now' }, /timeUnixNano/],
    ['a time of more than 64 bits', { timeUnixNano: Number.MAX_VALUE }, /timeUnixNano/],
    ...[{}, 'abc', null, 1.5, 2 ** 32].flatMap((half) =>
      [
        { low: 1, high: half },
        { low: half, high: 1 },
      ].map(
        (halves) =>
          ['halves of an integer that are none', { body: { intValue: halves } }, /intValue/] as const,
      ),
    ),
    ['an integer of more than 64 bits', { body: { intValue: 1e30 } }, /intValue/],
    ['a double that is no number', { body: { doubleValue: 'abc' } }, /doubleValue/],
    ['a double that is empty', { body: { doubleValue: '' } }, /doubleValue/],
    ['attributes that are no list', { attributes: {} }, /attributes must be an array/],
    [
      'hostile depth',
      { body: JSON.parse(`${'{"arrayValue":{"values":['.repeat(50_000)}{}${']}}'.repeat(50_000)}`) },
      /deeper/,
    ],
  ] as const) {
    it(`is refused for ${what}, without affecting the others`, () => {
      assert.match(refused(record), reason);
      assert.deepEqual(
        fromExport(exporting([{}, record, {}])).map((item) => 'event' in item),
        [true, false, true],
      );
    });
  }

  it('keeps its id when it is sent again; equal records in one export have different ids', () => {
    const record = { timeUnixNano: '1764000000123456789', body: { stringValue: 'tick' } };
    const ids = (records: object[]) => events(exporting(records)).map(({ event_id }) => event_id);
    const three = ids([record, record, { ...record, flags: 2 }]);
    assert.equal(new Set(three).size, 3);
    assert.deepEqual(ids([record, record, { ...record, flags: 2 }]), three);
    assert.notEqual(one(record, service('cart')).event_id, three[0]);
    assert.notEqual(ids([{ ...record, timeUnixNano: '1764000000123456790' }])[0], three[0]);
  });

  it('is counted before anything is converted', () => {
    assert.equal(countRecords({}), 0);
    assert.equal(countRecords(exporting([{}, {}, 5])), 3);
    for (const request of [null, 5, { resourceLogs: 5 }, { resourceLogs: [null] }, exporting(5 as never)]) {
      assert.throws(() => countRecords(request), Flaw);
    }
  });

  it('is counted with all its messages before it is decoded, up to a limit', () => {
    const record = Buffer.from([0x32, 0x02, 0x12, 0x00]); // an attribute with an empty value
    const within = (tag: number, content: Buffer) =>
      Buffer.concat([Buffer.from([tag, content.length]), content]);
    // Messages within each other: request, resource logs, scope logs, two records, each with an attribute and
    // a value.
    const bytes = within(0x0a, within(0x12, Buffer.concat([within(0x12, record), within(0x12, record)])));
    assert.equal(countRecords(decodeExport(bytes)), 2);
    assert.equal(hasMoreMessages(bytes, 9), false);
    assert.equal(hasMoreMessages(bytes, 8), true);
    assert.throws(() => hasMoreMessages(Buffer.from([0x0a, 0xff, 0xff]), 1));
  });

  it('throws only for flaws, whatever it contains', () => {
    const any = fc.jsonValue();
    const record = fc.record(
      { timeUnixNano: any, severityNumber: any, body: any, attributes: any, traceId: any, eventName: any },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(record), any, (records, resource) => {
        try {
          fromExport(exporting(records, resource));
        } catch (error) {
          assert.ok(error instanceof Flaw);
        }
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        let request: unknown;
        try {
          request = decodeExport(bytes);
        } catch {
          return;
        }
        fromExport(request);
      }),
      { numRuns: 2000 },
    );
  });
});
