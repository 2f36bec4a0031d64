const MARK = Buffer.from('\ufeff');

/**
 * Removes the byte order mark at the beginning of a body, even if it is split between chunks. Elsewhere
 * U+FEFF is a normal character. So whoever decodes the rest must keep it (`ignoreBOM`): otherwise it would
 * depend on the borders of chunks whether it is dropped.
 */
export async function* withoutMark(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let beginning: Buffer | null = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (beginning === null) {
      yield chunk;
      continue;
    }
    beginning = beginning.length === 0 ? chunk : Buffer.concat([beginning, chunk]);
    if (beginning.length < MARK.length && MARK.subarray(0, beginning.length).equals(beginning)) continue;
    const marked = beginning.subarray(0, MARK.length).equals(MARK);
    yield marked ? beginning.subarray(MARK.length) : beginning;
    beginning = null;
  }
  if (beginning !== null && beginning.length > 0) yield beginning;
}
