import { withoutMark } from './byte-order-mark.ts';

/** Lines that came together. A line that is too long is an Error that says so. */
export interface Lines {
  /** Place of the first line in the body, from 0. Empty lines count. */
  first: number;
  lines: (string | Error)[];
  /** Bytes that may be released once these lines are dealt with. */
  bytes: number;
}

const NEWLINE = 10;
/** Broken bytes become U+FFFD; a newline always remains one. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Cuts a stream into lines, holding no more of it than one chunk and one line.
 * @param longest bytes of a line at the most; what is beyond is passed over unread
 */
export async function* linesOf(chunks: AsyncIterable<Buffer>, longest: number): AsyncGenerator<Lines> {
  let rest: Buffer[] = [];
  let restSize = 0;
  let tooLong = false;
  let first = 0;
  for await (const chunk of withoutMark(chunks)) {
    const end = chunk.lastIndexOf(NEWLINE);
    if (end < 0) {
      restSize += chunk.length;
      // A long line's bytes are let go of, but it still ends where it ends.
      if (restSize > longest) [rest, tooLong] = [[], true];
      else rest.push(chunk);
      yield { first, lines: [], bytes: chunk.length };
      continue;
    }
    const whole = Buffer.concat([...rest, chunk.subarray(0, end)]);
    const lines = split(whole, longest);
    if (tooLong) lines[0] = longLine(longest);
    yield { first, lines, bytes: chunk.length };
    first += lines.length;
    rest = end + 1 < chunk.length ? [chunk.subarray(end + 1)] : [];
    restSize = chunk.length - end - 1;
    tooLong = restSize > longest;
  }
  if (tooLong) yield { first, lines: [longLine(longest)], bytes: 0 };
  else if (restSize > 0) yield { first, lines: split(Buffer.concat(rest), longest), bytes: 0 };
}

function split(bytes: Buffer, longest: number): (string | Error)[] {
  return decoder
    .decode(bytes)
    .split('\n')
    .map((line) => checked(line, longest));
}

function checked(line: string, longest: number): string | Error {
  // No character takes more than three bytes for each of its UTF-16 units.
  return line.length * 3 > longest && Buffer.byteLength(line) > longest ? longLine(longest) : line;
}

const longLine = (longest: number) => new Error(`is longer than ${longest} bytes`);
