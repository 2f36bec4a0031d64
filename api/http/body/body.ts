import type { IncomingMessage } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { firstInexact, parseExact } from '../../../ingest/formats/exact-json.ts';
import { OBJECTS_LIMIT, PATIENCE_MS, SLOWEST } from '../limits.ts';
import { BudgetSpent, Invalid, Malformed, Problem, TooManyObjects } from '../problem.ts';
import type { Budget, Holder } from './budget.ts';
import { type Decoded, decoded } from './decode.ts';
import { hasMoreObjects } from './objects.ts';

/** Bodies that usually come in one packet with their headers, in bytes. */
const SMALL = 64 << 10;

const strict = new TextDecoder('utf-8', { fatal: true });
const mending = new TextDecoder('utf-8');

/**
 * How a body is read. `exactly`: what is not UTF-8, or a number that would be rounded, refuses it. `mended`:
 * for what happened and can't be said again. Bytes that are no UTF-8 become U+FFFD, and numbers that would be
 * rounded become texts.
 */
export type Reading = 'exactly' | 'mended';

/**
 * A request's body, read as far as its route wants it and never held beyond the budget. Limits are checked
 * while reading, on what comes out of decompression as well as on what is declared.
 */
export class Body implements Holder {
  /** Media type in lower case, without parameters; '' when the sender gave none. */
  readonly type: string;
  /** The media type's parameters, in lower case. */
  readonly parameters: readonly string[];
  readonly request: IncomingMessage;
  readonly owner: string;
  readonly #budget: Budget;
  readonly #requireRoom: () => void;
  #held = 0;
  /** What is being read. */
  #source: Decoded | null = null;

  /**
   * @param requireRoom throws if events could not be stored now
   * @param owner the key that sends it
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

  /** Gives back what it holds of the budget. Nothing of the body may be used afterwards. */
  release(bytes = this.#held): void {
    this.#held -= bytes;
    this.#budget.give(bytes, this);
  }

  evict(): boolean {
    this.#source?.fail(evicted);
    return this.#source !== null;
  }

  /**
   * What comes, decompressed. Each chunk is held against the budget until it is released.
   * @param limit of all of it, in bytes, sent or decompressed
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
        // Only waiting for the sender counts, not what is done with a chunk.
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
   * All of it. Other requests may have filled the buffer while this body arrived. So the room is checked
   * again before anything is parsed: under overload, most of what is refused would otherwise be parsed first.
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
   * Whether a small body came in the same packet as its headers, as most do. Node parses it in this turn of
   * the event loop, after the headers have been handled.
   */
  async #hasArrived(): Promise<boolean> {
    const { 'content-length': length, 'content-encoding': encoding } = this.request.headers;
    if (encoding !== undefined || length === undefined || Number(length) > SMALL) return false;
    if (!this.request.complete) await setImmediate();
    return this.request.complete && !this.request.destroyed;
  }

  /**
   * All of a body that is here: there is no waiting to be guarded, and no iterator to be made for one chunk.
   */
  #arrived(limit: number): Buffer {
    const bytes = (this.request.read() as Buffer | null) ?? Buffer.alloc(0);
    if (bytes.length > limit) throw this.#tooLarge(limit);
    this.#budget.take(bytes.length, this);
    this.#held += bytes.length;
    return bytes;
  }

  #text(bytes: Buffer, reading: Reading): string {
    const charset = this.parameters.find((parameter) => parameter.startsWith('charset='));
    // ASCII is a part of UTF-8.
    if (charset && !/^charset="?(?:utf-?8|us-ascii)"?$/.test(charset)) {
      throw new Problem(415, 'the body must be UTF-8');
    }
    return utf8(bytes, reading);
  }

  /**
   * All of it as JSON; undefined for an empty body. `check` runs before anything is parsed.
   * @throws as `chunks`
   */
  async json(limit: number, reading: Reading, check: () => void = () => {}): Promise<unknown> {
    const bytes = await this.bytes(limit);
    if (bytes.length === 0) return undefined;
    check();
    return parseJson(this.#text(bytes, reading), reading);
  }

  /** Refuses other media types than these. A missing one is taken for the first, as the reference does. */
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
const evicted = new Error('its room is needed');

/** @throws Malformed */
export function utf8(bytes: Uint8Array, reading: Reading): string {
  if (reading === 'mended') return mending.decode(bytes);
  try {
    return strict.decode(bytes);
  } catch {
    throw new Malformed('the body is not UTF-8');
  }
}

/** @throws Malformed, Invalid, Problem 413 */
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
