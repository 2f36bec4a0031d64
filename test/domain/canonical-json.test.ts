import assert from 'node:assert/strict';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { alertmanagerKey } from '../../domain/received-alerts/key.ts';
import { compileGroupKey } from '../../domain/rules/group.ts';

describe('canonical JSON', () => {
  it('is the same text for equal values, whatever the order of keys', () => {
    const one = { b: [{ y: 1, x: null }], a: 'ä', B: true };
    assert.equal(canonicalJson(one), '{"B":true,"a":"ä","b":[{"x":null,"y":1}]}');
    assert.equal(canonicalJson({ a: 'ä', B: true, b: [{ x: null, y: 1 }] }), canonicalJson(one));
  });

  it('has the bytes from which stored group keys and alert keys were made', () => {
    const payload = { tags: { zone: 'z', 10: 'ten', 2: 'two', ä: 1 }, list: [{ b: 1, a: 2 }] };
    const event = {
      event_id: '',
      source_id: 's',
      occurred_at: 0,
      severity: 'info',
      event_type: 't',
      payload,
    };
    assert.equal(
      compileGroupKey(['payload.tags', 'payload.list', 'payload.none'])(event),
      '[{"2":"two","10":"ten","zone":"z","ä":1},[{"a":2,"b":1}],null]',
    );
    // This text was made by the code of 0.1.0.
    assert.equal(
      alertmanagerKey({ zone: 'z', 10: 'ten', 2: 'two', ä: '1' }),
      '75e48ad86236beb53b2ebcf2b2bb3813',
    );
  });
});
