import { cut } from '../../domain/incidents/notice-text.ts';
import { RetryableFailure } from './channel.ts';
import type { Redact } from './redact.ts';

/** How much of an answer is read, in bytes: enough to see what went wrong. An answer may be endless. */
const MOST_BYTES_READ = 4096;

export interface Answer {
  status: number;
  /** The beginning of the body, unchanged. */
  body: string;
  /** The status and the beginning of the body in one line, redacted. */
  detail: string;
  /** From `Retry-After`, in milliseconds. */
  retryAfterMs: number | undefined;
}

/**
 * Posts JSON and reads the beginning of the answer, whatever its status. Redirects are not followed, because
 * nobody configured their target. Credentials in the URL become a Basic header.
 * @throws RetryableFailure, without secrets, if there was no answer
 */
export async function postJson(
  url: string,
  body: string,
  {
    headers = {},
    redact,
    signal,
    clock,
  }: { headers?: Record<string, string>; redact: Redact; signal: AbortSignal; clock: () => number },
): Promise<Answer> {
  const target = new URL(url);
  const authorization = basic(target);
  target.username = '';
  target.password = '';
  try {
    const response = await fetch(target, {
      method: 'POST',
      body,
      redirect: 'manual',
      signal,
      headers: { 'content-type': 'application/json', 'user-agent': 'tocsin', ...authorization, ...headers },
    });
    const text = await beginning(response);
    return {
      status: response.status,
      body: text,
      detail: cut(`${response.status} ${redact(text)}`, 300),
      retryAfterMs: retryAfter(response.headers.get('retry-after'), clock()),
    };
  } catch (error) {
    if (signal.aborted) throw new RetryableFailure('no answer in time');
    throw new RetryableFailure(cut(redact(reasonOf(error)), 300));
  }
}

/** Parses `Retry-After` (seconds or a date) into milliseconds from `now`. */
export function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const text = header.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}

async function beginning(response: Response): Promise<string> {
  if (!response.body) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels the rest of the body.
  for await (const chunk of response.body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= MOST_BYTES_READ) break;
  }
  return Buffer.concat(chunks).subarray(0, MOST_BYTES_READ).toString('utf8');
}

/** fetch itself says only "fetch failed"; the reason is in its cause. */
function reasonOf(error: unknown): string {
  const cause = (error as Error).cause as (Error & { code?: string }) | undefined;
  return cause?.message || cause?.code || (error as Error).message;
}

function basic({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
}
