import { Transform, type TransformCallback } from 'node:stream';

const FRAME = 0xfd2fb528;
/** The last four bits are anything. */
const SKIPPABLE = 0x184d2a50;

/** What is known of a frame, by its bytes so far (RFC 8878, 3.1). */
type Part = 'magic' | 'descriptor' | 'skippable size' | 'block' | 'no frame';

/** Bytes of each part that tell what comes after it. */
const SIZES: Readonly<Record<Part, number>> = {
  magic: 4,
  descriptor: 1,
  'skippable size': 4,
  block: 3,
  'no frame': Number.POSITIVE_INFINITY,
};

/**
 * Cuts zstd where its frames end. A body may be several frames, one after the other, as senders make it that
 * flush by frames. Node's decoder takes a frame that ends within a chunk for the last one, and passes over
 * whatever comes after it without a word. What is no frame is passed on as it comes, for the decoder to refuse.
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

  /** A part is complete: says what comes after it. */
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
