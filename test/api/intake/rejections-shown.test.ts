import assert from 'node:assert/strict';
import { beginning } from '../../../api/intake/rejections/beginning.ts';

describe('the first characters of an item', () => {
  it('a short item is shown as its whole JSON', () => {
    for (const item of [
      { a: [1, -2.5, true, null, 'text "quoted" \u0000', { b: {} }, []], c: 'd' },
      [],
      [[[]]],
      7,
      null,
      JSON.parse('{"__proto__": {"a": 1}}'),
    ]) {
      assert.equal(beginning(item), JSON.stringify(item));
    }
    assert.equal(beginning('as it came'), 'as it came');
    assert.equal(beginning(undefined), 'null');
  });

  it('a long item is cut, and the rest is not processed', () => {
    let looked = 0;
    const endless = new Proxy(Array(1_000_000).fill(0), {
      get(target, key, receiver) {
        looked += 1;
        return Reflect.get(target, key, receiver);
      },
    });
    assert.equal(beginning(endless).length, 2048);
    assert.ok(looked < 10_000);
    assert.equal(beginning({ text: 'x'.repeat(10_000_000) }).length, 2048);
    assert.equal(beginning({ ['x'.repeat(10_000_000)]: 1 }).length, 2048);
  });

  it('an item is shown even if it is nested too deep for anything else', () => {
    const deep = JSON.parse(`${'[{"a":'.repeat(50_000)}1${'}]'.repeat(50_000)}`);
    assert.equal(beginning(deep), '[{"a":'.repeat(400).slice(0, 2048));
  });
});
