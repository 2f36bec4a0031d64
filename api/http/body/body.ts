import type { IncomingMessage } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { firstInexact, parseExact } from '../../../ingest/formats/exact-json.ts';
import { OBJECTS_LIMIT, PATIENCE_MS, SLOWEST } from '../limits.ts';
import { BudgetSpent, Invalid, Malformed, Problem, TooManyObjects } from '../problem.ts';
import type { Budget, Holder } from './budget.ts';
import { type Decoded, decoded } from './decode.ts';
import { hasMoreObjects } from './objects.ts';

/** The largest body that usually arrives in the same packet as its headers, in bytes. */
const SMALL = 64 << 10;

const strict = new TextDecoder('utf-8', { fatal: true });
const mending = new TextDecoder('utf-8');

/**
 * How strictly a body is read. `exactly`: invalid UTF-8, or a number that would be rounded, refuses the body.
 * `mended`: for senders that cannot send again what happened. Invalid bytes become U+FFFD, and numbers that
 * would be rounded become strings.
 */
export type Reading = 'exactly' | 'mended';

/**
 * The body of a request. It is read only as far as the route needs, and what it holds counts against the
 * budget. Limits are checked while reading, both on the declared length and on the decompressed bytes.
 */
export class Body implements Holder {
  /** The media type in lower case, without parameters; '' if the sender gave none. */
  readonly type: string;
  /** The media type's parameters, in lower case. */
  readonly parameters: readonly string[];
  readonly request: IncomingMessage;
  readonly owner: string;
  readonly #budget: Budget;
  readonly #requireRoom: () => void;
  #held = 0;
  /** The stream that is being read; null before the first read. */
  #source: Decoded | null = null;

  /**
   * @param requireRoom throws if events could not be stored now
   * @param owner the key that sends the body
   */
  constructor(request: IncomingMessage, budget: Budget, requireRoom: () => void = () => {}, owner = '') {
    const [type = '', ...parameters] = (request.headers['content-type'] ?? '').toLowerCase().split(';');
    this.type = type.trim();
    this.parameters = parameters.map((parameter) => parameter.trim());
    this.request = request;
    this.#budget = budget;
    this.#requireRoom = requireRoom;
    this.owner = owner;
  }

  /** Gives bytes back to the budget. The caller must not use the body afterwards. */
  release(bytes = this.#held): void {
    this.#held -= bytes;
    this.#budget.give(bytes, this);
  }

  evict(): boolean {
    this.#source?.fail(evicted);
    return this.#source !== null;
  }

  /**
   * Reads the body in decompressed chunks. Each chunk counts against the budget until it is released.
   * @param limit the largest body in bytes, both as sent and decompressed
   * @throws Malformed, Problem 408, 413 and 415, Unavailable
   */
  async *chunks(limit: number): AsyncGenerator<Buffer> {
    const declared = Number(this.request.headers['content-length'] ?? 0);
    if (declared > limit) throw this.#tooLarge(limit);
    const source = decoded(this.request);
    this.#source = source;
    let waited = 0;
    let size = 0;
    let timer: NodeJS.Timeout | undefined;
    let since = 0;
    const wait = () => {
      since = performance.now();
      timer = setTimeout(() => source.fail(stalled), PATIENCE_MS);
    };
    try {
      wait();
      for await (const chunk of source.chunks) {
        clearTimeout(timer);
        // Only the time spent waiting for the sender counts, not the time spent on a chunk.
        waited += performance.now() - since;
        size += chunk.length;
        if (size > limit) throw this.#tooLarge(limit);
        if (waited > PATIENCE_MS) {
          const sent = source.sent?.() ?? size;
          if (this.#budget.brief || sent < (waited / 1000) * SLOWEST) throw this.#tooSlow();
        }
        this.#budget.take(chunk.length, this);
        this.#held += chunk.length;
        yield chunk;
        wait();
      }
    } catch (error) {
      if (error instanceof Problem) throw error;
      if (error === stalled) throw this.#tooSlow();
      if (error === evicted) throw new BudgetSpent();
      throw this.#broken(error);
    } finally {
      this.#source = null;
      clearTimeout(timer);
      source.leave();
    }
  }

  /**
   * Reads the whole body. It checks again whether the buffer has room, because other requests may have filled
   * it meanwhile. Without that check, an overloaded process would parse many bodies only to refuse them.
   * @throws as `chunks`, and as `requireRoom`
   */
  async bytes(limit: number): Promise<Buffer> {
    const bytes = (await this.#hasArrived()) ? this.#arrived(limit) : await this.#waitedFor(limit);
    this.#requireRoom();
    return bytes;
  }

  async #waitedFor(limit: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.chunks(limit)) chunks.push(chunk);
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  /**
   * Says whether all of a small body came in the same packet as its headers, as it mostly does. Node parses
   * it in this turn of the event loop, after the headers were handled.
   */
  async #hasArrived(): Promise<boolean> {
    const { 'content-length': length, 'content-encoding': encoding } = this.request.headers;
    if (encoding !== undefined || length === undefined || Number(length) > SMALL) return false;
    if (!this.request.complete) await setImmediate();
    return this.request.complete && !this.request.destroyed;
  }

  /** Reads a body that is here already. This is faster than `chunks`: it needs no timer and no iterator. */
  #arrived(limit: number): Buffer {
    const bytes = (this.request.read() as Buffer | null) ?? Buffer.alloc(0);
    if (bytes.length > limit) throw this.#tooLarge(limit);
    this.#budget.take(bytes.length, this);
    this.#held += bytes.length;
    return bytes;
  }

  #text(bytes: Buffer, reading: Reading): string {
    const charset = this.parameters.find((parameter) => parameter.startsWith('charset='));
    // ASCII is a subset of UTF-8.
    if (charset && !/^charset="?(?:utf-?8|us-ascii)"?$/.test(charset)) {
      throw new Problem(415, 'the body must be UTF-8');
    }
    return utf8(bytes, reading);
  }

  /**
   * Reads the body as JSON; undefined if it is empty. `check` runs before anything is parsed. @throws as
   * `chunks`
   */
  async json(limit: number, reading: Reading, check: () => void = () => {}): Promise<unknown> {
    const bytes = await this.bytes(limit);
    if (bytes.length === 0) return undefined;
    check();
    return parseJson(this.#text(bytes, reading), reading);
  }

  /**
   * Checks the media type. If the request has none, the first is assumed, as in the reference. @throws
   * Problem 415
   */
  expect(...types: readonly string[]): void {
    if (this.type === '' || types.includes(this.type)) return;
    if (types.includes('application/json') && /^application\/[\w.+-]+\+json$/.test(this.type)) return;
    throw new Problem(415, `the body must be ${types.join(' or ')}`);
  }

  #tooLarge(limit: number): Problem {
    return new Problem(413, `the body is larger than ${limit} bytes`);
  }

  #tooSlow(): Problem {
    const slow = `nothing for ${PATIENCE_MS / 1000} s, or less than ${SLOWEST} bytes a second`;
    return new Problem(408, `the body arrived too slowly: ${slow}`);
  }

  #broken(error: unknown): Problem {
    const { code } = error as { code?: string };
    const encoding = this.request.headers['content-encoding'];
    if (code?.startsWith('Z_') || code?.startsWith('ERR_ZLIB') || code?.startsWith('ZSTD_')) {
      return new Malformed(`the body is not complete ${encoding}`);
    }
    return new Malformed('the body is incomplete');
  }
}

const stalled = new Error('the sender stalled');
const evicted = new Error('another request needs its memory');

/** Decodes UTF-8. @throws Malformed */
export function utf8(bytes: Uint8Array, reading: Reading): string {
  if (reading === 'mended') return mending.decode(bytes);
  try {
    return strict.decode(bytes);
  } catch {
    throw new Malformed('the body is not UTF-8');
  }
}

/** Parses JSON. @throws Malformed, Invalid, Problem 413 */
export function parseJson(text: string, reading: Reading): unknown {
  if (hasMoreObjects(text, OBJECTS_LIMIT)) throw new TooManyObjects();
  let parsed: unknown;
  try {
    parsed = reading === 'mended' ? parseExact(text) : JSON.parse(text);
  } catch {
    throw new Malformed('the body is not JSON');
  }
  const inexact = reading === 'mended' ? null : firstInexact(text);
  if (inexact === null) return parsed;
  const shown = inexact.length > 50 ? `${inexact.slice(0, 50)}…` : inexact;
  throw new Invalid([
    { field: '', reason: `${shown} has more digits than a number can hold: write it as a string` },
  ]);
}
