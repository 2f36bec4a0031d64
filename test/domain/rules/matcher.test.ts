import assert from 'node:assert/strict';
import type { Event, Json } from '../../../domain/events/event.ts';
import {
  compileMatcher,
  compileMatchers,
  type Matcher,
  MatcherError,
} from '../../../domain/rules/matcher.ts';

const event = (payload: Event['payload'], changes: Partial<Event> = {}): Event => ({
  event_id: '0191f0a0-0000-7000-8000-000000000001',
  source_id: 'web-1',
  occurred_at: 0,
  severity: 'high',
  event_type: 'disk.full',
  payload,
  ...changes,
});

const FULL = event({
  code: 503,
  text: '503',
  ok: true,
  none: null,
  disks: [{ free: 10 }],
  host: { name: 'a.b' },
});

/** Says whether a matcher holds for FULL, or for the given event. */
const holds = (field: string, op: Matcher['op'], value?: Json, on = FULL) =>
  compileMatcher({ field, op, ...(value === undefined ? {} : { value }) })(on);

const refusal = (matcher: object, reason: RegExp) =>
  assert.throws(
    () => compileMatcher(matcher as Matcher),
    (error) => error instanceof MatcherError && reason.test(error.message),
    JSON.stringify(matcher),
  );

describe('a matcher', () => {
  it('distinguishes equal from unequal', () => {
    assert.equal(holds('event_type', '=', 'disk.full'), true);
    assert.equal(holds('event_type', '=', 'disk'), false);
    assert.equal(holds('source_id', '!=', 'web-1'), false);
    assert.equal(holds('source_id', '!=', 'web-2'), true);
    assert.equal(holds('payload.ok', '=', true), true);
    assert.equal(holds('payload.ok', '=', 'true'), true);
    assert.equal(holds('payload.ok', '=', false), false);
  });

  it('compares a number with numbers and with strings that look like it; it compares a string only as text', () => {
    assert.equal(holds('payload.code', '=', 503), true);
    assert.equal(holds('payload.text', '=', 503), true);
    assert.equal(holds('payload.code', '=', '503'), true);
    assert.equal(holds('payload.code', '=', '503.0'), false);
    assert.equal(holds('payload.text', '=', 503.5), false);
    assert.equal(holds('payload.ok', '=', 1), false);
    assert.equal(holds('payload.x', '=', 0, event({ x: ' ' })), false);
    assert.equal(holds('payload.x', '=', 0, event({ x: '' })), false);
    assert.equal(holds('payload.x', '>', 0, event({ x: 'Infinity' })), false);
  });

  it('has a dot that matches every character including newlines, as in Prometheus 3', () => {
    const lines = event({ message: 'panic:\nout of memory' });
    assert.equal(holds('payload.message', '=~', 'panic.*memory', lines), true);
    assert.equal(holds('payload.message', '!~', 'panic.*memory', lines), false);
    assert.equal(holds('payload.message', '=~', '(?-s)panic.*memory', lines), false);
  });

  it('finds a value in a list of them', () => {
    assert.equal(holds('severity', 'in', ['low', 'high']), true);
    assert.equal(holds('payload.text', 'in', [502, 503]), true);
    assert.equal(holds('severity', 'in', ['low']), false);
    assert.equal(holds('severity', 'in', []), false);
  });

  it('compares sizes of numbers, strictly', () => {
    assert.equal(holds('payload.code', '>', 502), true);
    assert.equal(holds('payload.code', '>', 503), false);
    assert.equal(holds('payload.code', '<', 504), true);
    assert.equal(holds('payload.code', '<', 503), false);
    assert.equal(holds('payload.text', '>', 502), true);
    assert.equal(holds('event_type', '>', 0), false);
  });

  it('follows a path into the payload, with list items by index', () => {
    assert.equal(holds('payload.disks.0.free', '<', 11), true);
    assert.equal(holds('payload.disks.1.free', 'exists'), false);
    assert.equal(holds('payload.host.name', '=', 'a.b'), true);
    assert.equal(holds('payload.host.name.length', 'exists'), false);
    assert.equal(holds('payload.host', 'exists'), true);
    assert.equal(holds('payload.host', '=', '[object Object]'), false);
  });

  it('finds any key that an object may have, in brackets', () => {
    const odd = event(
      JSON.parse('{"host.name": 1, "": {"a b": 2}, "__proto__": {"x\\"y": 3}, "payload": {"]": 4}}'),
    );
    for (const [field, value] of [
      ['payload["host.name"]', 1],
      ['payload[""]["a b"]', 2],
      ['payload["__proto__"]["x\\"y"]', 3],
      ['payload.__proto__["x\\"y"]', 3],
      ['payload["payload"]["]"]', 4],
      ['payload.payload.]', 4],
    ] as const) {
      assert.equal(holds(field, '=', value, odd), true, field);
    }
    assert.equal(holds('payload.host.name', 'exists', true, odd), false);
    for (const field of [
      '["payload"].a',
      'payload',
      'payload.',
      'payload..a',
      'payload[x]',
      'payloads["a"]',
    ]) {
      refusal({ field, op: 'exists' }, /unknown field/);
    }
  });

  it('compares numbers that were stored as texts with all their digits', () => {
    const big = event({ id: '9007199254740993', tiny: '0.30000000000000001', huge: '1e400' });
    assert.equal(holds('payload.id', '=', 9007199254740992, big), false);
    assert.equal(holds('payload.id', '>', 9007199254740992, big), true);
    assert.equal(holds('payload.id', '=', '9007199254740993', big), true);
    assert.equal(holds('payload.tiny', '>', 0.3, big), true);
    assert.equal(holds('payload.huge', '>', 1e308, big), true);
    assert.equal(holds('payload.text', 'in', [503.0], FULL), true);
  });

  it('treats null as missing; a missing field fails all tests but !=, !~ and exists: false', () => {
    for (const field of ['payload.none', 'payload.gone', 'payload.gone.deeper', 'payload.code.deeper']) {
      assert.equal(holds(field, 'exists'), false, field);
      assert.equal(holds(field, 'exists', true), false, field);
      assert.equal(holds(field, 'exists', false), true, field);
      assert.equal(holds(field, '=', 'null'), false, field);
      assert.equal(holds(field, '!=', 'x'), true, field);
      assert.equal(holds(field, 'in', ['null', 'undefined']), false, field);
      assert.equal(holds(field, '=~', '.*'), false, field);
      assert.equal(holds(field, '!~', '.*'), true, field);
      assert.equal(holds(field, '>', -1), false, field);
      assert.equal(holds(field, '<', 1), false, field);
    }
  });

  it('sees own properties only', () => {
    const hostile = JSON.parse('{"__proto__": {"admin": true}, "list": [1]}');
    assert.equal(holds('payload.constructor', 'exists'), false);
    assert.equal(holds('payload.constructor.name', '=', 'Object'), false);
    assert.equal(holds('payload.toString', 'exists'), false);
    assert.equal(holds('payload.__proto__', 'exists'), false);
    assert.equal(holds('payload.__proto__.admin', '=', true, event(hostile)), true);
    assert.equal(holds('payload.admin', 'exists', true, event(hostile)), false);
    assert.equal(holds('payload.list.map', 'exists', true, event(hostile)), false);
  });

  it('anchors its pattern at both ends', () => {
    assert.equal(holds('event_type', '=~', 'disk'), false);
    assert.equal(holds('event_type', '=~', 'disk.*'), true);
    assert.equal(holds('event_type', '=~', 'cpu|disk\\.full'), true);
    assert.equal(holds('event_type', '!~', 'disk'), true);
    assert.equal(holds('payload.code', '=~', '5..'), true);
    assert.equal(holds('payload.x', '=~', 'a', event({ x: 'b\na\n' })), false);
  });

  it('takes linear time for patterns with which backtracking engines never end', () => {
    const long = event({ x: `${'a'.repeat(60_000)}!` });
    const started = performance.now();
    for (const pattern of ['(a+)+$', '(a|aa)+$', '(.*)*x', '^(([a-z])+.)+[A-Z]([a-z])+$']) {
      assert.equal(holds('payload.x', '=~', pattern, long), false, pattern);
    }
    assert.ok(performance.now() - started < 5000, 'too slow');
  });

  it('for a field that no event has is refused with the field’s name', () => {
    for (const field of ['', 'payload', 'payload.', 'payload..a', 'hostname', 'severity.x', 'occurred_at']) {
      refusal({ field, op: '=', value: 'x' }, new RegExp(`unknown field "${field.replaceAll('.', '\\.')}"`));
    }
  });

  it('with a value of the wrong type is refused with the field’s name', () => {
    const field = 'payload.a';
    for (const op of ['=', '!=', '=~', '!~', '>', '<', 'in']) refusal({ field, op }, /payload\.a/);
    for (const op of ['=', '!=', '=~', '>', '<', 'in']) refusal({ field, op, value: {} }, /payload\.a/);
    refusal({ field, op: '=', value: null }, /payload\.a/);
    refusal({ field, op: '>', value: '5' }, /">" on payload\.a takes a number/);
    refusal({ field, op: 'in', value: 'a' }, /"in" on payload\.a takes a list/);
    refusal({ field, op: 'in', value: ['a', ['b']] }, /payload\.a/);
    refusal({ field, op: 'exists', value: 'yes' }, /"exists" on payload\.a/);
    refusal({ field, op: 'like', value: 'a' }, /unknown operator "like" on payload\.a/);
  });

  it('with a pattern that is broken, backtracks, is too long or too costly is refused with the field’s name', () => {
    const field = 'payload.a';
    for (const value of ['(', '[', '*', '(?=a)', '(a)\\1', 'a{1001}', '((a{100}){100}){100}']) {
      refusal({ field, op: '=~', value }, /bad pattern on payload\.a/);
    }
    refusal({ field, op: '!~', value: 'a'.repeat(1001) }, /pattern on payload\.a is longer than 1000/);
    for (const value of ['(a?){1000}', '.{1000}', '(a?){400}(a){400}']) {
      refusal({ field, op: '=~', value }, /pattern on payload\.a is too costly/);
    }
  });
});

describe('matchers', () => {
  it('must all match; without any, every event matches', () => {
    const matchers: Matcher[] = [
      { field: 'severity', op: '=', value: 'high' },
      { field: 'payload.code', op: '>', value: 500 },
    ];
    assert.equal(compileMatchers(matchers)(FULL), true);
    assert.equal(compileMatchers(matchers)({ ...FULL, severity: 'low' }), false);
    assert.equal(compileMatchers([])(FULL), true);
  });
});
