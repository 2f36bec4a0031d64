import assert from 'node:assert/strict';
import { CloudEvent, HTTP } from 'cloudevents';
import fc from 'fast-check';
import { validateEvent } from '../../../ingest/append/validate.ts';
import { fromBinaryCloudEvent, fromCloudEvent } from '../../../ingest/formats/cloudevents.ts';

const ID = '6f8a2e0c-3b1d-4c5e-9f70-1a2b3c4d5e6f';
const given = { specversion: '1.0', id: ID, source: '/shop/checkout', type: 'com.example.order' };

function mapped(changes: object = {}) {
  const item = fromCloudEvent({ ...given, ...changes });
  assert.ok('event' in item, JSON.stringify(item));
  return item.event;
}

function refused(raw: unknown) {
  const item = fromCloudEvent(raw);
  assert.ok('invalid' in item, JSON.stringify(item));
  return item.invalid.map(({ field }) => field);
}

describe('a CloudEvent as an event', () => {
  it('keeps its id, source, type, time and data', () => {
    const time = '2026-11-24T17:31:00.123456+01:00';
    assert.deepEqual(mapped({ time, data: { value: 7 } }), {
      event_id: ID,
      source_id: '/shop/checkout',
      event_type: 'com.example.order',
      severity: 'info',
      timestamp: time,
      payload: { value: 7 },
    });
  });

  it('is identified by source and id if the id is not a UUID', () => {
    const one = mapped({ id: '17' });
    assert.equal(one.event_id, mapped({ id: '17', type: 'another' }).event_id);
    assert.notEqual(one.event_id, mapped({ id: '17', source: '/shop/cart' }).event_id);
    assert.notEqual(one.event_id, mapped({ id: '18' }).event_id);
    assert.deepEqual(one.payload, { cloudevent: { id: '17' } });
  });

  it('fits a source or type of any length, and keeps the original', () => {
    const source = `https://example.com/${'x'.repeat(200)}`;
    const event = mapped({ source, type: 'y'.repeat(65) });
    assert.equal(event.source_id.length, 100);
    assert.equal(event.event_type.length, 64);
    assert.deepEqual(event.payload, { cloudevent: { source, type: 'y'.repeat(65) } });
    assert.notEqual(event.source_id, mapped({ source: `${source}x` }).source_id);
    assert.equal(event.source_id, mapped({ source }).source_id);
    assert.equal(mapped({ source: 'a' }).source_id, 'a__');
  });

  it('has the severity of its severity extension, or of its severity text or number', () => {
    assert.equal(mapped({ severity: 'critical' }).severity, 'critical');
    assert.equal(mapped({ severitytext: 'WARN' }).severity, 'medium');
    assert.equal(mapped({ severitytext: 'odd', severitynumber: 17 }).severity, 'high');
    assert.equal(mapped({ severitynumber: '21' }).severity, 'critical');
  });

  it('keeps its other attributes beside its data, and never in place of it', () => {
    const more = { subject: 's', partitionkey: 'k', dataschema: 'https://example.com/schema' };
    assert.deepEqual(mapped({ ...more, data: { a: 1 } }).payload, { a: 1, cloudevent: more });
    assert.deepEqual(mapped({ ...more, data: { cloudevent: 1 } }).payload, {
      data: { cloudevent: 1 },
      cloudevent: more,
    });
    for (const data of [[1], 'text', 5, false, null]) assert.deepEqual(mapped({ data }).payload, { data });
    assert.deepEqual(mapped({ data_base64: 'AAEC' }).payload, { data_base64: 'AAEC' });
  });

  it('reads null as absent, and times in the form of RFC 3339', () => {
    assert.equal(mapped({ subject: null, time: null }).timestamp, undefined);
    assert.equal(mapped({ time: '2026-11-24 17:31:00z' }).timestamp, '2026-11-24T17:31:00Z');
  });

  for (const [what, raw, field] of [
    ['no object', [], ''],
    ['no id', { ...given, id: undefined }, 'id'],
    ['an empty id', { ...given, id: '' }, 'id'],
    ['a number for an id', { ...given, id: 5 }, 'id'],
    ['no source', { ...given, source: undefined }, 'source'],
    ['a source that is no URI reference', { ...given, source: 'a b <>' }, 'source'],
    ['no type', { ...given, type: null }, 'type'],
    ['another version', { ...given, specversion: '0.3' }, 'specversion'],
    ['a time that is none', { ...given, time: 'yesterday' }, 'time'],
    ['an attribute in capitals', { ...given, traceId: 'x' }, 'traceId'],
    [
      'an attribute named __proto__',
      JSON.parse(`{"__proto__":1,"specversion":"1.0","id":"1","source":"abc","type":"t"}`),
      '__proto__',
    ],
    ['a fraction', { ...given, ratio: 0.5 }, 'ratio'],
    ['an object for an extension', { ...given, ext: { a: 1 } }, 'ext'],
    ['a list for an extension', { ...given, ext: [] }, 'ext'],
    ['base64 that is none', { ...given, data_base64: '***' }, 'data_base64'],
    ['data twice', { ...given, data: 1, data_base64: 'AA==' }, 'data_base64'],
  ] as const) {
    it(`is refused for ${what}, with the name of the attribute`, () =>
      assert.deepEqual(refused(raw), [field]));
  }

  it('accepts extensions that are named like methods of the SDK', () => {
    assert.deepEqual(mapped({ validate: 'x', constructor: 'y' }).payload, {
      cloudevent: { validate: 'x', constructor: 'y' },
    });
  });

  it('never throws, and a converted event can only be refused by validation', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), (more, data) => {
        const item = fromCloudEvent({ ...more, ...given, data });
        if ('event' in item) validateEvent(item.event, { now: Date.now(), retentionMs: 86_400_000 });
      }),
    );
  });
});

describe('a CloudEvent in binary mode', () => {
  const headers = {
    'ce-specversion': '1.0',
    'ce-id': ID,
    'ce-source': '/shop/checkout',
    'ce-type': 'com.example.order',
    'content-type': 'application/json',
  };
  const event = (changes: Record<string, string | undefined> = {}, body = '{"a":1}') => {
    const item = fromBinaryCloudEvent({ ...headers, ...changes }, Buffer.from(body, 'latin1'));
    return 'event' in item ? item.event : item.invalid;
  };

  it('is converted like one in the JSON format', () => {
    const message = HTTP.binary(
      new CloudEvent({ ...given, time: '2026-11-24T17:31:00.000Z', data: { a: 1 }, ext: 'e' }),
    );
    const item = fromBinaryCloudEvent(
      message.headers as Record<string, string>,
      Buffer.from(message.body as string),
    );
    assert.ok('event' in item);
    assert.deepEqual(item.event, mapped({ time: '2026-11-24T17:31:00.000Z', data: { a: 1 }, ext: 'e' }));
  });

  it('decodes quotes and percent-encoding in headers', () => {
    const { payload } = event({ 'ce-subject': '"Euro \\"%E2%82%AC%22 %F0%9F%98%80"' }) as { payload: object };
    assert.deepEqual(payload, { a: 1, cloudevent: { subject: 'Euro "€" 😀' } });
  });

  it('keeps text as text, other types as base64, and no data as none', () => {
    const payload = (changes: Record<string, string | undefined>, body?: string) =>
      (event(changes, body) as { payload: object }).payload;
    assert.deepEqual(payload({ 'content-type': 'text/plain' }, 'hi'), {
      data: 'hi',
      cloudevent: { datacontenttype: 'text/plain' },
    });
    assert.deepEqual(payload({ 'content-type': 'image/png' }, '\x00\xff'), {
      data_base64: 'AP8=',
      cloudevent: { datacontenttype: 'image/png' },
    });
    assert.deepEqual(payload({ 'content-type': 'application/vnd.x+json; charset=utf-8' }), { a: 1 });
    assert.deepEqual(payload({ 'content-type': 'TEXT/JSON' }), { a: 1 });
    assert.deepEqual(payload({ 'content-type': 'model/gltf+json' }), { a: 1 });
    assert.deepEqual(payload({ 'content-type': undefined }), { a: 1 });
    assert.deepEqual(payload({ 'content-type': undefined }, ''), {});
  });

  it('is refused for an invalid header or body', () => {
    // The second one encodes a space in more bytes than necessary.
    for (const subject of ['%ff', '%C0%A0']) {
      assert.deepEqual(event({ 'ce-subject': subject }), [
        { field: 'subject', reason: 'must be percent-encoded UTF-8' },
      ]);
    }
    assert.deepEqual(event({}, '{'), [{ field: 'data', reason: 'is not JSON' }]);
    assert.deepEqual(event({ 'ce-data': 'x' }), [
      { field: 'data', reason: 'must be sent as the body, not as a header' },
    ]);
    assert.deepEqual(event({ 'ce-id': undefined }), [{ field: 'id', reason: 'is required' }]);
  });
});
