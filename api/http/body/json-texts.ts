import { withoutMark } from './byte-order-mark.ts';
import type { Lines } from './lines.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const isSpace = (byte: number) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

/** Decodes invalid bytes as U+FFFD. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Cuts a stream into JSON texts: a single one, the elements of an array, one per line, or several in a row
 * with or without separators. It looks only at brackets and quotes, so deep nesting costs no more than a
 * counter. The parser later decides whether a text is valid JSON. It holds at most one chunk and one text.
 * @param longest the longest text in bytes; of a longer one the rest is skipped
 */
export async function* jsonTextsOf(chunks: AsyncIterable<Buffer>, longest: number): AsyncGenerator<Lines> {
  const cutter = new Cutter(longest);
  let first = 0;
  for await (const chunk of withoutMark(chunks)) {
    const lines = cutter.cut(chunk);
    yield { first, lines, bytes: chunk.length };
    first += lines.length;
  }
  const lines = cutter.end();
  if (lines.length > 0) yield { first, lines, bytes: 0 };
}

class Cutter {
  readonly #longest: number;
  /** How many brackets are open in the current text. */
  #depth = 0;
  /**
   * Whether the position is within a text, within a string of it, after a backslash in that string, and
   * within a text that is a number or a word.
   */
  #inText = false;
  #inString = false;
  #escaped = false;
  #bare = false;
  /** Whether the texts are elements of an array. */
  #inList = false;
  /** Parts of the current text from earlier chunks. */
  #pieces: Buffer[] = [];
  #size = 0;
  #found: (string | Error)[] = [];

  constructor(longest: number) {
    this.#longest = longest;
  }

  cut(chunk: Buffer): (string | Error)[] {
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) {
          this.#inString = false;
          if (this.#depth === 0) this.#finish(chunk.subarray(start, i + 1));
        }
      } else if (this.#depth > 0) {
        if (byte === QUOTE) this.#inString = true;
        else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#depth++;
        else if ((byte === CLOSE_OBJECT || byte === CLOSE_LIST) && --this.#depth === 0) {
          this.#finish(chunk.subarray(start, i + 1));
        }
      } else {
        if (this.#bare) {
          if (!this.#endsBare(byte)) continue;
          this.#finish(chunk.subarray(start, i));
        }
        if (this.#begins(byte)) start = i;
      }
    }
    if (this.#inText) this.#keep(chunk.subarray(start));
    return this.#take();
  }

  /** The rest of the texts, at the end of the stream. */
  end(): (string | Error)[] {
    if (this.#bare) this.#finish(Buffer.alloc(0));
    if (this.#inText) this.#found.push(new Error('breaks off'));
    else if (this.#inList) this.#found.push(new Error('is missing: the array does not end'));
    return this.#take();
  }

  /** Handles a byte between texts. Returns true if it begins a text. */
  #begins(byte: number): boolean {
    if (isSpace(byte) || byte === COMMA) return false;
    if (byte === OPEN_LIST && !this.#inList) {
      this.#inList = true;
      return false;
    }
    if (byte === CLOSE_LIST && this.#inList) {
      this.#inList = false;
      return false;
    }
    this.#inText = true;
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#depth = 1;
    else if (byte === QUOTE) this.#inString = true;
    else this.#bare = true;
    return true;
  }

  #endsBare(byte: number): boolean {
    return (
      isSpace(byte) ||
      byte === COMMA ||
      byte === QUOTE ||
      byte === OPEN_LIST ||
      byte === CLOSE_LIST ||
      byte === OPEN_OBJECT
    );
  }

  #keep(piece: Buffer): void {
    this.#size += piece.length;
    if (this.#size > this.#longest) this.#pieces = [];
    else this.#pieces.push(piece);
  }

  #finish(last: Buffer): void {
    this.#keep(last);
    if (this.#size > this.#longest) this.#found.push(new Error(`is longer than ${this.#longest} bytes`));
    else {
      const whole = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
      this.#found.push(decoder.decode(whole));
    }
    this.#pieces = [];
    this.#size = 0;
    this.#bare = false;
    this.#inText = false;
  }

  #take(): (string | Error)[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }
}
