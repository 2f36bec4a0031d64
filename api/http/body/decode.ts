import type { IncomingMessage } from 'node:http';
import type { Transform, Writable } from 'node:stream';
import { constants, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { ZSTD_WINDOW_LOG } from '../limits.ts';
import { Problem } from '../problem.ts';
import { ZstdFrames } from './zstd.ts';

/** A decompressor: bytes as sent go to `input`, decoded bytes come from `output`. */
type Decoder = { input: Writable; output: Transform };

const only = (decoder: Transform): Decoder => ({ input: decoder, output: decoder });

/** The supported content encodings, each with its decompressor. */
const DECODERS = new Map<string, () => Decoder>([
  ['gzip', () => only(createGunzip())],
  ['x-gzip', () => only(createGunzip())],
  ['deflate', () => only(createInflate())],
  ['zstd', unzstd],
]);

function unzstd(): Decoder {
  const input = new ZstdFrames();
  const output = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } });
  return { input, output: input.pipe(output) };
}

/** A body after decompression. */
export interface Decoded {
  chunks: AsyncIterable<Buffer>;
  /** How many bytes were sent so far; null if the body is not compressed, so that the chunks tell. */
  sent: (() => number) | null;
  /** Makes reading fail with this error. */
  fail: (error: Error) => void;
  /** Stops reading. The request stays open, so that it can be answered. */
  leave: () => void;
}

/** Decompresses the body of a request. @throws Problem 415 */
export function decoded(request: IncomingMessage): Decoded {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() || 'identity';
  if (encoding === 'identity') {
    let interrupt: (error: Error) => void = () => {};
    const chunks = unless((reject) => {
      interrupt = reject;
    }, request);
    return { chunks, sent: null, fail: (error) => interrupt(error), leave() {} };
  }
  const decoder = DECODERS.get(encoding)?.();
  if (!decoder) {
    throw new Problem(415, `content encoding ${encoding} is not supported`, {
      headers: { 'Accept-Encoding': [...DECODERS.keys()].join(', ') },
    });
  }
  const { input, output } = decoder;
  const fail = (error: Error) => void output.destroy(error);
  const brokeOff = () => fail(new Error('the request broke off'));
  let sent = 0;
  const count = (chunk: Buffer) => {
    sent += chunk.length;
  };
  request.pipe(input);
  request.on('data', count).on('error', fail).on('aborted', brokeOff);
  return {
    chunks: output,
    sent: () => sent,
    fail,
    leave() {
      request.unpipe(input);
      request.off('data', count).off('error', fail).off('aborted', brokeOff);
      input.destroy();
      output.destroy();
    },
  };
}

/**
 * Reads a request until it is interrupted. Destroying the request would also prevent the answer. Each chunk
 * gets a promise of its own to be raced against: a single promise would keep a reference to every chunk, and
 * so hold the whole body in memory.
 */
async function* unless(
  onWait: (interrupt: (error: Error) => void) => void,
  request: IncomingMessage,
): AsyncGenerator<Buffer> {
  const chunks = request.iterator({ destroyOnReturn: false });
  while (true) {
    const failure = Promise.withResolvers<never>();
    onWait(failure.reject);
    const { done, value } = await Promise.race([chunks.next(), failure.promise]);
    if (done) return;
    yield value;
  }
}
