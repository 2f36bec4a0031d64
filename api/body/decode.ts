import type { IncomingMessage } from 'node:http';
import type { Transform } from 'node:stream';
import { constants, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { ZSTD_WINDOW_LOG } from '../limits.ts';
import { Problem } from '../problem.ts';

/** Content encodings taken, each with its decoder. */
const DECODERS = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['zstd', () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } })],
]);

/** A body without its content encoding. */
export interface Decoded {
  chunks: AsyncIterable<Buffer>;
  /** Ends it from our side: whoever reads gets this error. */
  fail: (error: Error) => void;
  /** Reads no further. The request itself stays whole, so that it can be answered. */
  leave: () => void;
}

/** @throws Problem 415 */
export function decoded(request: IncomingMessage): Decoded {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() || 'identity';
  if (encoding === 'identity') {
    const failure = Promise.withResolvers<never>();
    failure.promise.catch(() => {});
    return { chunks: unless(failure.promise, request), fail: failure.reject, leave() {} };
  }
  const decoder = DECODERS.get(encoding)?.();
  if (!decoder) {
    throw new Problem(415, `content encoding ${encoding} is not supported`, {
      headers: { 'Accept-Encoding': [...DECODERS.keys()].join(', ') },
    });
  }
  const fail = (error: Error) => void decoder.destroy(error);
  const brokeOff = () => fail(new Error('the request broke off'));
  request.pipe(decoder);
  request.on('error', fail).on('aborted', brokeOff);
  return {
    chunks: decoder,
    fail,
    leave() {
      request.unpipe(decoder);
      request.off('error', fail).off('aborted', brokeOff);
      decoder.destroy();
    },
  };
}

/** What a request brings, until the failure comes. Destroying the request instead would take its answer away. */
async function* unless(failure: Promise<never>, request: IncomingMessage): AsyncGenerator<Buffer> {
  const chunks = request.iterator({ destroyOnReturn: false });
  while (true) {
    const { done, value } = await Promise.race([chunks.next(), failure]);
    if (done) return;
    yield value;
  }
}
