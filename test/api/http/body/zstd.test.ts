import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { constants, createZstdDecompress, zstdCompressSync } from 'node:zlib';
import { ZstdFrames } from '../../../../api/http/body/zstd.ts';

const { ZSTD_c_checksumFlag, ZSTD_c_contentSizeFlag } = constants;

describe('a zstd body of several frames', () => {
  const texts = ['', 'a', 'line\n'.repeat(200_000), String(Array.from({ length: 5000 }, Math.random))];
  const flags = [0, 1].flatMap((sum) => [0, 1].map((size) => ({ sum, size })));
  const frames = texts.flatMap((text) =>
    flags.map(({ sum, size }) => {
      const params = { [ZSTD_c_checksumFlag]: sum, [ZSTD_c_contentSizeFlag]: size };
      return { text, frame: zstdCompressSync(text, { params }) };
    }),
  );
  const skippable = Buffer.from([0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 0x28, 0xb5, 0x2f]);
  const body = Buffer.concat(frames.flatMap(({ frame }) => [frame, skippable]));
  const text = frames.map((one) => one.text).join('');

  const decompressed = async (given: Buffer, piece: number) => {
    const pieces: Buffer[] = [];
    for (let at = 0; at < given.length; at += piece) pieces.push(given.subarray(at, at + piece));
    const decoder = Readable.from(pieces).pipe(new ZstdFrames()).pipe(createZstdDecompress());
    return Buffer.concat(await decoder.toArray()).toString();
  };

  for (const piece of [1, 2, 7, 1000, 16_384, body.length]) {
    it(`all frames are decoded when they come in chunks of ${piece} bytes`, async () => {
      assert.ok((await decompressed(body, piece)) === text);
    });
  }

  for (const [what, rest] of [
    ['a truncated frame', frames.at(-1)!.frame.subarray(0, -1)],
    ['garbage', Buffer.from('garbage')],
  ] as const) {
    it(`the body is refused if ${what} follows the frames`, async () => {
      await assert.rejects(decompressed(Buffer.concat([body, rest]), 16_384));
    });
  }
});
