import type { Route } from '../../../api/http/route.ts';
import { type Answer, checkAnswer } from './declared.ts';

/** Sends requests to an API, and checks each answer against the declaration of its route. */
export function caller(url: string, routes: readonly Route[], ingestToken: string) {
  async function call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : raw ? (body as string) : JSON.stringify(body),
    });
    const text = await response.text();
    const answer = {
      status: response.status,
      headers: response.headers,
      body: text ? parse(text) : undefined,
    };
    checkAnswer(routes, method, path, answer);
    return answer;
  }
  return {
    call,
    get: (path: string) => call('GET', path),
    post: (path: string, body?: unknown) => call('POST', path, body),
    put: (path: string, body: unknown) => call('PUT', path, body),
    delete: (path: string) => call('DELETE', path),
    /** Sends an event. */
    send: (event: unknown, headers: Record<string, string> = { 'x-ingest-token': ingestToken }) =>
      call('POST', '/internal/events', event, headers),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
