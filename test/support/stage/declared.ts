import assert from 'node:assert/strict';
import { z } from 'zod';
import { problemsOf } from '../../../api/http/openapi.ts';
import type { Route } from '../../../api/http/route.ts';

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  body: any;
}

const problem = z.strictObject({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int(),
  detail: z.string().min(1),
  errors: z.array(z.strictObject({ field: z.string(), reason: z.string().min(1) })).optional(),
  lines: z.int().optional(),
});

/** Checks that an answer is one that its route declares, and that an error reveals no internals. */
export function checkAnswer(routes: readonly Route[], method: string, path: string, answer: Answer): void {
  const { status, headers, body } = answer;
  const route = routeOf(routes, method, path);
  const declared = route?.responses[status];
  if (declared) {
    // If there are several media types, the schema describes the JSON one.
    const described = !declared.media || /json$/.test(headers.get('content-type') ?? '');
    if (declared.schema && described) declared.schema.parse(body);
    else if (!declared.media) assert.equal(body, undefined);
    return;
  }
  if (status < 400) return;
  checkFailure(route, answer);
  assert.doesNotMatch(JSON.stringify(body), /node_modules|\.ts:\d|select |insert |at Object|ECONN/i);
  if (status === 503) assert.match(headers.get('retry-after') ?? '', /^\d+$/);
  if (!route || [403, 405].includes(status)) return;
  assert.ok(
    problemsOf(route).includes(status),
    `${method} ${route.path} answered ${status}, which it does not declare`,
  );
}

/** Checks that an error has the form of its protocol, by default RFC 9457. */
function checkFailure(route: Route | undefined, { status, headers, body }: Answer): void {
  const type = headers.get('content-type') ?? '';
  if (!route?.dialect) {
    assert.equal(type, 'application/problem+json');
    assert.equal(problem.parse(body).status, status);
    return;
  }
  const schema = route.dialect.content[type.split(';')[0]!];
  assert.ok(schema, `${type} is not declared`);
  if (type.includes('json')) schema.parse(body);
}

function routeOf(routes: readonly Route[], method: string, path: string): Route | undefined {
  const bare = path.split('?')[0]!;
  return routes.find(
    (route) =>
      route.method === method.toLowerCase() &&
      new RegExp(`^${route.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(bare),
  );
}
