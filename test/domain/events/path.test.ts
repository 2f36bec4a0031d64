import assert from 'node:assert/strict';
import fc from 'fast-check';
import { endOfPath, parsePath } from '../../../domain/events/path.ts';

const keys = (text: string) => parsePath(text).keys;

describe('a path', () => {
  for (const [text, wanted] of [
    ['host', ['host']],
    ['host.name', ['host', 'name']],
    ['disks.0.free', ['disks', '0', 'free']],
    ['["host.name"]', ['host.name']],
    ['labels["app.kubernetes.io/name"]', ['labels', 'app.kubernetes.io/name']],
    ['a["b"].c["d"]["e"]', ['a', 'b', 'c', 'd', 'e']],
    ['["a \\"b\\" \\\\ \\u00e9"].c', ['a "b" \\ é', 'c']],
    ['[""].a[""]', ['', 'a', '']],
    ['__proto__.constructor', ['__proto__', 'constructor']],
    // Brackets that contain no quoted key are part of a key, as they were before brackets had a meaning.
    ['a[0].b', ['a[0]', 'b']],
    ['a"b".c', ['a"b"', 'c']],
    ['"a.b"', ['"a', 'b"']],
    ['a["b"c', ['a["b"c']],
    ['a["b"]c.d', ['a["b"]c', 'd']],
    ['a["\\x"]', ['a["\\x"]']],
  ] as const) {
    it(`${text} has the keys ${JSON.stringify(wanted)}`, () => assert.deepEqual(keys(text), wanted));
  }

  it('can name any key, in brackets', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 4 }), (wanted) => {
        const path = wanted.map((key) => `[${JSON.stringify(key)}]`).join('');
        assert.deepEqual(parsePath(path), { keys: wanted, blank: false });
        assert.deepEqual(parsePath(wanted.map((key) => `[${JSON.stringify(key)}]`).join('.')).keys, wanted);
        assert.equal(endOfPath(`${path}=["a"]=b`), path.length);
      }),
    );
  });

  it('is split at its dots if there are no brackets', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('[')),
        (text) => {
          assert.deepEqual(keys(text), text.split('.'));
          assert.equal(parsePath(text).blank, text.split('.').includes(''));
        },
      ),
    );
  });

  it('ends at the first equals sign outside of a key', () => {
    assert.equal(endOfPath('host.name=a=b'), 9);
    assert.equal(endOfPath('["a=b"].c=d'), 9);
    assert.equal(endOfPath('host'), -1);
    assert.equal(endOfPath('=x'), 0);
  });
});
