import type { IncomingMessage } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { Problem } from '../problem.ts';

/** Largest window a zstd body may ask for, as a power of two: what its decoder holds. zstd's own default reaches 27. */
const ZSTD_WINDOW_LOG = 23;
const ZSTD_WINDOW_LOG_MAX = 100;

/** Content encodings taken, each with its decoder. */
const DECODERS: Record<string, () => NodeJS.ReadWriteStream & Readable> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  zstd: () => createZstdDecompress({ params: { [ZSTD_WINDOW_LOG_MAX]: ZSTD_WINDOW_LOG } }),
};

/** The body without its content encoding. Fails as its decoder or its connection does. @throws Problem 415 */
export function decoded(request: IncomingMessage): Readable {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (encoding === 'identity' || encoding === '') return request;
  const decoder = DECODERS[encoding];
  if (!decoder) {
    throw new Problem(415, `content encoding ${encoding} is not supported`, {
      headers: { 'Accept-Encoding': 'gzip, zstd, deflate' },
    });
  }
  return pipeline(request, decoder(), () => {}) as unknown as Readable;
}
