import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hasMoreObjects } from '../../../../api/http/body/objects.ts';

/** Counts the objects and lists in a value. */
function objectsOf(value: unknown): number {
  if (value === null || typeof value !== 'object') return 0;
  return Object.values(value).reduce((sum: number, item) => sum + objectsOf(item), 1);
}

describe('the count of JSON objects', () => {
  it('objects and lists are counted without parsing, and characters in strings do not count', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const text = JSON.stringify([value, '{[\\"{"']);
        const count = 1 + objectsOf(value);
        assert.equal(hasMoreObjects(text, count), false);
        if (text.length > count - 1) assert.equal(hasMoreObjects(text, count - 1), true);
      }),
    );
  });

  it('an object with too many members is reported', () => {
    const members = (n: number) => `{${Array.from({ length: n }, (_, i) => `"k${i}":1`).join(',')}}`;
    assert.equal(hasMoreObjects(members(100), 1), false);
    assert.equal(hasMoreObjects(members(200), 399), true);
    assert.equal(hasMoreObjects(`[${new Array(50).fill(members(20)).join(',')}]`, 51), false);
  });
});
