/** Configuration for a fetch client, and for zod schemas of requests and answers. */
export const ORVAL_CONFIG = `
export default {
  api: { input: './openapi.json', output: { mode: 'single', target: 'api.ts', client: 'fetch' } },
  zod: { input: './openapi.json', output: { mode: 'single', target: 'zod.ts', client: 'zod' } },
};
`;

/** A program that uses what orval generated. */
export const ORVAL_CLIENT = `
import assert from 'node:assert/strict';
import { deleteAlertsId, getEvents, postAlerts, postEvents } from './api.js';

const base = process.env.API!;
const original = globalThis.fetch;
globalThis.fetch = ((path: string, init?: RequestInit) => original(new URL(path, base), init)) as typeof fetch;

// If an operation takes several media types, orval sets none.
const json = { headers: { 'content-type': 'application/json' } };
const event = { source_id: 'orval-client', severity: 'high', event_type: 'disk', payload: { host: 'web-1' } };
const sent = await postEvents(event, json);
assert.equal(sent.status, 201);
const found = await getEvents({ source_id: 'orval-client', payload: ['host=web-1', '["host"]=web-1'] });
assert.equal(found.status, 200);
assert.equal((found.data as unknown[]).length, 1);
const none = await getEvents({ source_id: 'orval-client', payload: ['host=web-2'] });
assert.equal((none.data as unknown[]).length, 0);
const made = await postAlerts({ name: 'orval', threshold_count: 1, window_seconds: 60 });
assert.equal(made.status, 201);
const { id } = made.data as { id: string };
assert.equal((await deleteAlertsId(id)).status, 204);
`;
