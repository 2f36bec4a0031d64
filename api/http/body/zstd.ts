import { Transform, type TransformCallback } from 'node:stream';

const FRAME = 0xfd2fb528;
/** The magic number of a skippable frame. Its last four bits may have any value. */
const SKIPPABLE = 0x184d2a50;

/** The part of a frame that is being read (RFC 8878, 3.1). */
type Part = 'magic' | 'descriptor' | 'skippable size' | 'block' | 'no frame';

/** How many bytes of each part must be read to know what follows. */
const SIZES: Readonly<Record<Part, number>> = {
  magic: 4,
  descriptor: 1,
  'skippable size': 4,
  block: 3,
  'no frame': Number.POSITIVE_INFINITY,
};

/**
 * Splits a zstd stream at the ends of its frames. A body has several frames if the sender ends one at each
 * flush. Without the split, Node's decompressor would drop everything after a frame that ends within a chunk,
 * without an error. Bytes that are no frame are passed on, and the decompressor refuses them.
 */
export class ZstdFrames extends Transform {
  #part: Part = 'magic';
  /** The value of the current part, and how many of its bytes were read. */
  #value = 0;
  #known = 0;
  /** How many bytes to skip before the next part, and whether the frame ends after them. */
  #skip = 0;
  #last = false;
  #checksum = 0;

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    let start = 0;
    for (let at = 0; at < chunk.length; ) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, chunk.length - at);
        this.#skip -= passed;
        at += passed;
      } else if (this.#part === 'no frame') break;
      else {
        this.#value += chunk[at++]! * 2 ** (8 * this.#known++);
        if (this.#known === SIZES[this.#part]) this.#read();
      }
      if (!this.#last || this.#skip > 0) continue;
      this.#last = false;
      this.push(chunk.subarray(start, at));
      start = at;
    }
    if (start < chunk.length) this.push(chunk.subarray(start));
    done();
  }

  /** Handles a complete part, and decides which part follows. */
  #read(): void {
    const value = this.#value;
    this.#value = 0;
    this.#known = 0;
    if (this.#part === 'magic') {
      const isSkippable = value - (value % 16) === SKIPPABLE;
      this.#part = value === FRAME ? 'descriptor' : isSkippable ? 'skippable size' : 'no frame';
    } else if (this.#part === 'skippable size') this.#end(value);
    else if (this.#part === 'descriptor') {
      const [sizeFlag, isSingle] = [value >> 6, (value >> 5) & 1];
      const contentSize = sizeFlag === 0 ? isSingle : 1 << sizeFlag;
      this.#skip = 1 - isSingle + [0, 1, 2, 4][value & 3]! + contentSize;
      this.#checksum = value & 4;
      this.#part = 'block';
    } else {
      const isRepeated = ((value >> 1) & 3) === 1;
      const size = isRepeated ? 1 : value >> 3;
      if (value & 1) this.#end(size + this.#checksum);
      else this.#skip = size;
    }
  }

  /** Notes that the frame ends after `skip` more bytes. */
  #end(skip: number): void {
    this.#skip = skip;
    this.#last = true;
    this.#part = 'magic';
  }
}
