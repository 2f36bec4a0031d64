import { withoutMark } from './byte-order-mark.ts';

/** Lines that arrived in one chunk. A line that is too long is an Error. */
export interface Lines {
  /** Position of the first line in the body, from 0. Empty lines count. */
  first: number;
  lines: (string | Error)[];
  /** How many bytes may be released once these lines are processed. */
  bytes: number;
}

const NEWLINE = 10;
/** Decodes invalid bytes as U+FFFD. A newline byte always stays a newline. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Cuts a stream into lines. It holds at most one chunk and one line.
 * @param longest the longest line in bytes; of a longer one the rest is skipped
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
      // The bytes of a line that is too long are dropped, but its end is still found.
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
  // UTF-8 takes at most three bytes for each UTF-16 unit, so short lines need no exact count.
  return line.length * 3 > longest && Buffer.byteLength(line) > longest ? longLine(longest) : line;
}

const longLine = (longest: number) => new Error(`is longer than ${longest} bytes`);
