import assert from 'node:assert/strict';
import fc from 'fast-check';
import { jsonTextsOf } from '../../../../api/http/body/json-texts.ts';

/**
 * Cuts a body, which arrives in pieces of these sizes over and over, into texts. Errors are shown as their
 * messages.
 */
async function cut(body: string | Buffer, sizes: readonly number[] = [1 << 20], longest = 1 << 20) {
  const bytes = Buffer.from(body as string);
  async function* chunks() {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = sizes[i % sizes.length]!;
      yield bytes.subarray(at, at + size);
      at += size;
    }
  }
  const texts: string[] = [];
  for await (const { first, lines } of jsonTextsOf(chunks(), longest)) {
    assert.equal(first, texts.length);
    texts.push(...lines.map((line) => (line instanceof Error ? `! ${line.message}` : line)));
  }
  return texts;
}

const parsed = (texts: string[]) => texts.map((text) => JSON.parse(text));

describe('the splitter of JSON texts', () => {
  const values = fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4 })), {
    maxLength: 6,
  });
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });
  const FORMS: Record<string, (texts: string[]) => string> = {
    'in an array': (texts) => `[${texts.join(',')}]`,
    'in an array with space': (texts) => ` [ ${texts.join(' ,\r\n ')} ] `,
    'one a line': (texts) => texts.map((text) => `${text}\n`).join(''),
    'one after another': (texts) => texts.join(''),
    'with commas between': (texts) => texts.join(','),
  };
  for (const [form, join] of Object.entries(FORMS)) {
    it(`JSON texts ${form} are found wherever the stream is cut into chunks`, async () => {
      await fc.assert(
        fc.asyncProperty(values, sizes, async (objects, pieces) => {
          const texts = objects.map((object) => JSON.stringify(object));
          assert.deepEqual(await cut(join(texts), pieces), texts);
        }),
      );
    });
  }

  it('JSON texts that contain newlines and spaces are found', async () => {
    const objects = [{ a: [1, { b: '}{][",\\' }] }, { c: 'ü€𝄞' }];
    const text = objects.map((object) => JSON.stringify(object, null, 2)).join('\n');
    assert.deepEqual(parsed(await cut(text, [3])), objects);
  });

  it('JSON texts that are numbers, strings and literals are found', async () => {
    assert.deepEqual(await cut('1 "a b"null,true"x"{}', [2]), ['1', '"a b"', 'null', 'true', '"x"', '{}']);
    assert.deepEqual(await cut('[[1],2]'), ['[1]', '2']);
  });

  it('a text that is too long is skipped, and the others are found', async () => {
    const long = JSON.stringify({ text: 'x'.repeat(200) });
    for (const pieces of [[7], [1 << 20]]) {
      assert.deepEqual(await cut(`{"a":1}${long}{"b":2}`, pieces, 100), [
        '{"a":1}',
        '! is longer than 100 bytes',
        '{"b":2}',
      ]);
    }
  });

  it('invalid UTF-8 in a text is replaced, and the others are found', async () => {
    const body = Buffer.concat([Buffer.from('{"a":1}{"b":"'), Buffer.from([0xff]), Buffer.from('"}{"c":3}')]);
    assert.deepEqual(await cut(body), ['{"a":1}', '{"b":"\ufffd"}', '{"c":3}']);
  });

  it('a text that breaks off is reported', async () => {
    assert.deepEqual(await cut('{"a":1}{"b":'), ['{"a":1}', '! breaks off']);
    assert.deepEqual(await cut('[{"a":1},"b'), ['{"a":1}', '! breaks off']);
    assert.deepEqual(await cut('[{"a":1},'), ['{"a":1}', '! is missing: the array does not end']);
    assert.deepEqual(await cut('[1'), ['1', '! is missing: the array does not end']);
  });

  it('an empty stream, white space and an empty array have no texts', async () => {
    for (const body of ['', ' \r\n\t', '[]', ' [ ] \n']) assert.deepEqual(await cut(body, [1]), []);
  });

  it('a text nested a million levels deep is found without recursion', async () => {
    const [text] = await cut('['.repeat(1_000_000), [65_536], 4 << 20);
    assert.equal(text, '! breaks off');
  });
});
