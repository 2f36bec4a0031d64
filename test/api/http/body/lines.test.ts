import assert from 'node:assert/strict';
import { jsonTextsOf } from '../../../../api/http/body/json-texts.ts';
import { linesOf } from '../../../../api/http/body/lines.ts';

/** Cuts a body that arrives in pieces of this size. */
async function cut(by: typeof linesOf, text: string | Buffer, size: number): Promise<string[]> {
  const bytes = Buffer.from(text as string);
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const found: string[] = [];
  for await (const { lines } of by(chunks(), 1000)) found.push(...lines.map(String));
  return found;
}

const MARK = '\ufeff';
const SIZES = [1, 2, 3, 4, 5, 7, 10, 11, 12, 1000];

describe('the byte order mark of a stream', () => {
  for (const [what, by] of [
    ['lines', linesOf],
    ['JSON texts', jsonTextsOf],
  ] as const) {
    it(`one byte order mark at the start of ${what} is removed, wherever the stream is cut into chunks; others are kept`, async () => {
      for (const size of SIZES) {
        assert.deepEqual(await cut(by, `${MARK}{"a":1}\n{"b":2}\n`, size), ['{"a":1}', '{"b":2}']);
        assert.deepEqual(await cut(by, `${MARK}${MARK}1\n2\n`, size), [`${MARK}1`, '2'], `${size}`);
        assert.deepEqual(await cut(by, `1\n${MARK}2\n${MARK}3\n`, size), ['1', `${MARK}2`, `${MARK}3`]);
        assert.deepEqual(
          await cut(by, `1\n${MARK}{"b":2}`, size).then((found) => found.join('')),
          `1${MARK}{"b":2}`,
        );
        assert.deepEqual(await cut(by, MARK, size), []);
      }
    });

    it(`a truncated byte order mark before ${what} is not removed`, async () => {
      for (const size of SIZES) {
        const found = await cut(by, Buffer.from(MARK).subarray(0, 2), size);
        assert.deepEqual(found, ['\ufffd']);
      }
    });
  }
});
