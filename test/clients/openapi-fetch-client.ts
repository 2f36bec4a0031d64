/**
 * A program with types that openapi-typescript generated from the document. It filters events, and creates,
 * changes and deletes a rule.
 */
export const OPENAPI_FETCH_CLIENT = `
import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

const client = createClient<paths>({ baseUrl: process.env.API! });
const event = (host: string): components['schemas']['Event'] | object => ({
  source_id: 'generated-client', severity: 'high', event_type: 'disk', payload: { 'host.name': host },
});
for (const host of ['web-1', 'web-2']) {
  const { response } = await client.POST('/events', { body: event(host) as never });
  assert.equal(response.status, 201);
}
const list = async (payload: string[]) => {
  const { data, error } = await client.GET('/events', {
    params: { query: { source_id: 'generated-client', payload, limit: 10 } },
  });
  assert.equal(error, undefined);
  return data!.map((found) => found.payload['host.name']);
};
assert.deepEqual(await list(['["host.name"]=web-1']), ['web-1']);
assert.deepEqual((await list([])).sort(), ['web-1', 'web-2']);
assert.deepEqual(await list(['["host.name"]=nobody']), []);

const { data: rule } = await client.POST('/alerts', {
  body: { name: 'generated', threshold_count: 3, window_seconds: 60, group_by: ['payload["host.name"]'] },
});
assert.ok(rule);
const { data: changed } = await client.PUT('/alerts/{id}', {
  params: { path: { id: rule.id } },
  body: { ...rule, threshold_count: 5 },
});
assert.equal(changed!.threshold_count, 5);
const { response } = await client.DELETE('/alerts/{id}', { params: { path: { id: rule.id } } });
assert.equal(response.status, 204);
const { error } = await client.GET('/alerts/{id}', { params: { path: { id: rule.id } } });
assert.equal(error!.status, 404);
`;
