import type { ItemResult } from '../../ingest/append/batch.ts';
import { parseExact } from '../../ingest/formats/exact-json.ts';
import { BufferFull } from '../../ingest/outcome.ts';
import type { Body } from '../http/body/body.ts';
import { jsonTextsOf } from '../http/body/json-texts.ts';
import { type Lines, linesOf } from '../http/body/lines.ts';
import { LINE_LIMIT, MOST_LISTED, STREAM_LIMIT } from '../http/limits.ts';
import { problemOf } from '../http/middleware/problems.ts';
import { type FieldError, Problem, RateExceeded } from '../http/problem.ts';
import { noteHeldBack, noteUnreadable } from './rejections/attempt.ts';

/** How many parts of a stream are stored at the same time. More would only wait for each other. */
const IN_FLIGHT = 4;

/**
 * How long a stream waits for room in the buffer, in milliseconds. Meanwhile nothing is read, so its sender
 * must wait too.
 */
const ROOM_WITHIN_MS = 10_000;

/** The outcome of a stream. Empty lines are not counted. */
export interface StreamSummary {
  stored: number;
  duplicate: number;
  invalid: number;
  /** The first 1,000 refused lines, by their position from 0. */
  refused: { index: number; errors: FieldError[] }[];
}

/** Stores items. `places` are the lines of the body that the items come from. */
export type Store = (items: readonly unknown[], places: readonly number[]) => Promise<ItemResult[]>;

/** Media types in which each line is an item. */
export const NDJSON = [
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
];

/** How a stream is cut into items, and the noun for an item. */
export interface Cutting {
  cut: (chunks: AsyncIterable<Buffer>, longest: number) => AsyncIterable<Lines>;
  noun: string;
}

export const LINES: Cutting = { cut: linesOf, noun: 'line' };
export const JSON_TEXTS: Cutting = { cut: jsonTextsOf, noun: 'item' };

/**
 * Stores a stream while reading it, and never holds all of it: one part is stored while the next is read.
 * @throws Problem with `lines`: so many lines or items from the beginning were processed; the sender must
 * send the rest again
 */
export async function storeStream(body: Body, { cut, noun }: Cutting, store: Store): Promise<StreamSummary> {
  const summary: StreamSummary = { stored: 0, duplicate: 0, invalid: 0, refused: [] };
  const inFlight = new Set<Promise<void>>();
  let failure: { error: unknown; first: number } | null = null;
  const fail = (error: unknown, first: number) => {
    if (!failure || first < failure.first) failure = { error, first };
  };
  let read = 0;
  try {
    for await (const stretch of cut(body.chunks(STREAM_LIMIT), LINE_LIMIT)) {
      if (failure) break;
      read = stretch.first + stretch.lines.length;
      const work: Promise<void> = storeStretch(stretch, noun, store, summary)
        .catch((error) => fail(error, stretch.first))
        .finally(() => {
          inFlight.delete(work);
          body.release(stretch.bytes);
        });
      inFlight.add(work);
      if (inFlight.size >= IN_FLIGHT) await Promise.race(inFlight);
    }
  } catch (error) {
    fail(error, read);
  }
  await Promise.all(inFlight);
  if (failure) throw brokenOff(failure, noun);
  summary.refused.sort((a, b) => a.index - b.index).splice(MOST_LISTED);
  return summary;
}

async function storeStretch(
  { first, lines }: Lines,
  noun: string,
  store: Store,
  summary: StreamSummary,
): Promise<void> {
  const items: unknown[] = [];
  const places: number[] = [];
  const refuse = (index: number, errors: FieldError[]) => {
    summary.invalid++;
    if (summary.refused.length < 2 * MOST_LISTED) summary.refused.push({ index, errors });
  };
  const unreadable = (i: number, line: string | null, reason: string) => {
    refuse(first + i, [{ field: '', reason }]);
    noteUnreadable(line, reason);
  };
  for (const [i, line] of lines.entries()) {
    if (line instanceof Error) unreadable(i, null, `the ${noun} ${line.message}`);
    else if (line.trim() !== '') {
      try {
        items.push(parseExact(line));
        places.push(first + i);
      } catch {
        unreadable(i, line, `the ${noun} is not JSON`);
      }
    }
  }
  if (items.length === 0) return;
  const results = await patiently(() => store(items, places));
  for (const [i, result] of results.entries()) {
    if (result.status === 'invalid') refuse(places[i]!, result.errors);
    else summary[result.status]++;
  }
}

/**
 * Repeats the work while the buffer is full or the key is over its rate. Meanwhile nothing is read, so the
 * sender must wait.
 * @throws BufferFull, RateExceeded when that takes too long
 */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const until = performance.now() + ROOM_WITHIN_MS;
  for (let pause = 50; ; pause *= 2) {
    try {
      return await work();
    } catch (error) {
      noteHeldBack(error);
      const wait = waitAfter(error, pause);
      if (wait === null || performance.now() + wait > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

/** How long to wait before trying again, in milliseconds; null if waiting does not help. */
function waitAfter(error: unknown, pause: number): number | null {
  if (error instanceof RateExceeded) return error.waitMs;
  return error instanceof BufferFull ? pause : null;
}

function brokenOff({ error, first }: { error: unknown; first: number }, noun: string): Problem {
  const { status, message, headers, cause } = problemOf(error);
  const again = 'send the others again, or everything with the same Idempotency-Key';
  return new Problem(status, `${message}; the first ${first} ${noun}s are processed: ${again}`, {
    headers,
    cause,
    extensions: { lines: first },
  });
}
