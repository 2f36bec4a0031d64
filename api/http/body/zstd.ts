import { Transform, type TransformCallback } from 'node:stream';

const FRAME = 0xfd2fb528;
/** The last four bits may be anything. */
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
 * Cuts zstd where its frames end. A body may have several frames, from senders that end a frame at each
 * flush. If a frame ends within a chunk, Node's decoder silently drops the rest of the body. Bytes that are
 * not a frame are passed on unchanged, and the decoder refuses them.
 */
export class ZstdFrames extends Transform {
  #part: Part = 'magic';
  /** The bytes of this part, as a number, and how many there are. */
  #value = 0;
  #known = 0;
  /** Bytes to pass over before the next part, and whether the frame ends with them. */
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

  /** A part is complete: decides which one follows. */
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

  /** The frame ends after so many bytes. */
  #end(skip: number): void {
    this.#skip = skip;
    this.#last = true;
    this.#part = 'magic';
  }
}
