import assert from 'node:assert/strict';
import fc from 'fast-check';
import { jsonTextsOf } from '../../../api/body/json-texts.ts';

/** What is found in bytes that come in pieces of so many. */
async function cut(text: string | Buffer, size = 1 << 16, longest = 1000): Promise<string[]> {
  const bytes = Buffer.from(text as string);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const found: string[] = [];
  for await (const { first, lines } of jsonTextsOf(pieces(), longest)) {
    assert.equal(first, found.length);
    for (const line of lines) found.push(line instanceof Error ? `(${line.message})` : line);
  }
  return found;
}

describe('a stream of JSON texts', () => {
  for (const [what, text] of [
    ['one after another', '{"a":1}{"b":2}{"c":"x"}'],
    ['one a line', '{"a":1}\n{"b":2}\r\n{"c":"x"}\n'],
    ['in an array', ' [ {"a":1} , {"b":2},{"c":"x"}]\n'],
    ['in arrays', '[{"a":1}][{"b":2},{"c":"x"}]'],
  ] as const) {
    it(`is cut into its texts that come ${what}, wherever its chunks end`, async () => {
      for (let size = 1; size <= text.length; size++) {
        assert.deepEqual(await cut(text, size), ['{"a":1}', '{"b":2}', '{"c":"x"}']);
      }
    });
  }

  it('is not misled by what is in strings', async () => {
    const text = JSON.stringify({ a: '}{][,"\\', 'b"': ['\\"', { c: '\\\\' }] });
    for (const size of [1, 2, 3, 7, 100]) assert.deepEqual(await cut(text + text, size), [text, text]);
  });

  it('hands on what is no object, for its parser to judge', async () => {
    assert.deepEqual(await cut('5 "a b" true, nonsense}{"a":1}[[1],[2]]'), [
      '5',
      '"a b"',
      'true',
      'nonsense}',
      '{"a":1}',
      '[1]',
      '[2]',
    ]);
  });

  it('passes over a text that is too long, and says so in its place', async () => {
    const long = JSON.stringify({ text: `}"{${'x'.repeat(2000)}` });
    for (const size of [10, 5000]) {
      assert.deepEqual(await cut(`{"a":1}${long}{"b":2}`, size), [
        '{"a":1}',
        '(is longer than 1000 bytes)',
        '{"b":2}',
      ]);
    }
  });

  it('says what breaks off, and what is not UTF-8', async () => {
    assert.deepEqual(await cut('{"a":1}{"b":'), ['{"a":1}', '(breaks off)']);
    assert.deepEqual(await cut('[{"a":1},'), ['{"a":1}', '(is missing: the array does not end)']);
    const broken = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}{"b":2}')]);
    assert.deepEqual(await cut(broken), ['(is not UTF-8)', '{"b":2}']);
  });

  it('counts brackets, however many', async () => {
    const deep = `${'['.repeat(400)}${']'.repeat(400)}`;
    assert.deepEqual(await cut(`{"a":${deep}}`), [`{"a":${deep}}`]);
  });

  it('gives back any objects, in any chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), { maxLength: 5 }),
        fc.constantFrom('', '\n', ' , '),
        fc.integer({ min: 1, max: 50 }),
        async (objects, between, size) => {
          const texts = objects.map((object) => JSON.stringify(object));
          assert.deepEqual(await cut(texts.join(between), size, 1 << 20), texts);
          assert.deepEqual(await cut(`[${texts.join(',')}]`, size, 1 << 20), texts);
        },
      ),
    );
  });
});
