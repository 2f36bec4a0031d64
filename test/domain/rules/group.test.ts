import assert from 'node:assert/strict';
import type { Event } from '../../../domain/events/event.ts';
import {
  compileGroupKey,
  groupLabels,
  groupLabelsOf,
  OVERFLOW_GROUP,
  SOLE_GROUP,
} from '../../../domain/rules/group.ts';
import { MatcherError } from '../../../domain/rules/matcher.ts';

const event = (payload: Event['payload']): Event => ({
  event_id: '0191f0a0-0000-7000-8000-000000000001',
  source_id: 'web-1',
  occurred_at: 0,
  severity: 'high',
  event_type: 'disk.full',
  payload,
});
const keyOf = (groupBy: string[], payload: Event['payload']) => compileGroupKey(groupBy)(event(payload));

describe('the group of an event', () => {
  it('is the only one if the rule groups by nothing', () => {
    assert.equal(keyOf([], { host: 'a' }), SOLE_GROUP);
    assert.deepEqual(groupLabels([], SOLE_GROUP), {});
  });

  it('is named by the values of its fields, in the order of the rule', () => {
    const fields = ['source_id', 'payload.disk.0'];
    const key = keyOf(fields, { disk: ['sda'] });
    assert.equal(key, '["web-1","sda"]');
    assert.deepEqual(groupLabels(fields, key), { source_id: 'web-1', 'payload.disk.0': 'sda' });
  });

  it('distinguishes values of different types; missing and null are the same', () => {
    const keys = [1, '1', true, 'true', 'null', null, [], ['1'], {}].map((x) => keyOf(['payload.x'], { x }));
    assert.equal(new Set(keys).size, keys.length);
    assert.equal(keyOf(['payload.x'], {}), keyOf(['payload.x'], { x: null }));
    assert.deepEqual(groupLabels(['payload.x'], keyOf(['payload.x'], { x: 1 })), { 'payload.x': '1' });
    assert.deepEqual(groupLabels(['payload.x'], keyOf(['payload.x'], {})), { 'payload.x': 'null' });
  });

  it('has labels that differ wherever keys differ: a text that looks like other JSON is in quotes', () => {
    const values = [
      1,
      '1',
      '"1"',
      true,
      'true',
      null,
      'null',
      [],
      '[]',
      ['1'],
      '["1"]',
      {},
      '',
      ' 1',
      'web-1',
      'a"b',
    ];
    const labels = values.map((x) => groupLabels(['payload.x'], keyOf(['payload.x'], { x }))['payload.x']);
    assert.equal(new Set(labels).size, values.length);
    assert.deepEqual(labels.slice(0, 3), ['1', '"1"', '"\\"1\\""']);
    assert.deepEqual(labels.slice(-2), ['web-1', 'a"b']);
  });

  it('has the labels of its events if its key is too long for them; both ways give the same labels if it is not', () => {
    const fields = ['payload.short', 'payload.text', 'payload["a.b"]'];
    const payload = { short: 1, text: `${'x'.repeat(300)}1`, 'a.b': 'named' };
    const labels = groupLabelsOf(fields, event(payload));
    assert.equal(labels['payload.short'], '1');
    assert.equal(labels['payload["a.b"]'], 'named');
    assert.match(labels['payload.text']!, /^x{191}~[0-9a-f]{8}$/);
    const other = groupLabelsOf(fields, event({ ...payload, text: `${'x'.repeat(300)}2` }));
    assert.notEqual(labels['payload.text'], other['payload.text']);
    const short = { short: null, text: '7', 'a.b': ['x'] };
    assert.deepEqual(groupLabelsOf(fields, event(short)), groupLabels(fields, keyOf(fields, short)));
  });

  it('cannot be made to look like another by quotes and commas in values', () => {
    const fields = ['payload.a', 'payload.b'];
    assert.notEqual(keyOf(fields, { a: 'x","y', b: 'z' }), keyOf(fields, { a: 'x', b: 'y","z' }));
    for (const a of ['', '*', '[]']) {
      assert.notEqual(keyOf(['payload.a'], { a }), SOLE_GROUP);
      assert.notEqual(keyOf(['payload.a'], { a }), OVERFLOW_GROUP);
    }
  });

  it('does not depend on the order of keys, which PostgreSQL does not keep', () => {
    const sent = { zone: { name: 'eu', id: 7 }, list: [{ b: 1, a: 2 }] };
    const stored = { list: [{ a: 2, b: 1 }], zone: { id: 7, name: 'eu' } };
    const fields = ['payload.zone', 'payload.list'];
    assert.equal(keyOf(fields, sent), keyOf(fields, stored));
  });

  it('has a key of limited length: a long one is cut, and a hash is added', () => {
    const long = 'x'.repeat(10_000);
    const [a, b] = [keyOf(['payload.x'], { x: `${long}a` }), keyOf(['payload.x'], { x: `${long}b` })];
    assert.notEqual(a, b);
    assert.equal(a, keyOf(['payload.x'], { x: `${long}a` }));
    for (const x of [long, '"'.repeat(10_000), '\u0001'.repeat(10_000), '€'.repeat(10_000)]) {
      const key = keyOf(['payload.x'], { x });
      assert.ok(Buffer.byteLength(key) < 2000, 'longer than an index takes');
    }
    assert.match(groupLabels(['payload.x'], a).group!, /^\["x{100}/);
  });

  it('has labels that PostgreSQL can store, wherever the key is cut', () => {
    for (let shift = 0; shift < 4; shift++) {
      const key = keyOf(['payload.x'], { x: 'a'.repeat(shift) + '😀'.repeat(200) });
      assert.ok(groupLabels(['payload.x'], key).group!.isWellFormed(), `cut after ${shift}`);
    }
  });

  it('is labelled as overflow if it is the overflow group', () => {
    assert.deepEqual(groupLabels(['payload.x'], OVERFLOW_GROUP), { overflow: 'true' });
  });

  it('cannot use a field that no event has', () => {
    assert.throws(() => compileGroupKey(['hostname']), MatcherError);
  });
});
