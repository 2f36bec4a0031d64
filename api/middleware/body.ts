import type { IncomingMessage } from 'node:http';
import { Malformed, Problem } from '../problem.ts';

/** The reference's limits are none; these keep one request from holding the process's memory. In bytes. */
export const EVENT_BODY_LIMIT = 1 << 20;
export const BODY_LIMIT = 256 << 10;

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a request's JSON, holding no more than `limit` bytes of it.
 * @returns undefined for an empty body
 * @throws Malformed, and Problem 413 and 415
 */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const bytes = await readBytes(request, limit);
  if (bytes.length === 0) return undefined;
  checkType(request);
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new Malformed('the body is not UTF-8');
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Malformed('the body is not JSON');
  }
}

async function readBytes(request: IncomingMessage, limit: number): Promise<Buffer> {
  const tooLarge = () => new Problem(413, `the body is larger than ${limit} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (chunk: Buffer) => {
    size += chunk.length;
    if (size > limit) reject(tooLarge());
    else chunks.push(chunk);
  };
  request.on('data', onData).on('end', resolve).on('error', reject).on('aborted', reject);
  try {
    await promise;
  } catch (error) {
    throw error instanceof Problem ? error : new Malformed('the body broke off');
  } finally {
    // What still comes is thrown away by the server once the answer is out.
    request.off('data', onData);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size);
}

/** A missing type is taken for JSON, as the reference does. */
function checkType(request: IncomingMessage): void {
  const encoding = request.headers['content-encoding'];
  if (encoding && encoding.toLowerCase() !== 'identity') {
    throw new Problem(415, `content encoding ${encoding} is not supported`);
  }
  const header = request.headers['content-type'];
  if (header === undefined) return;
  const [type = '', ...parameters] = header.toLowerCase().split(';');
  if (!/^application\/(?:[\w.+-]+\+)?json$/.test(type.trim())) {
    throw new Problem(415, 'the body must be application/json');
  }
  const charset = parameters.map((p) => p.trim()).find((p) => p.startsWith('charset='));
  if (charset && !/^charset="?utf-?8"?$/.test(charset)) throw new Problem(415, 'the body must be UTF-8');
}
