import { randomUUID } from 'node:crypto';

export const NDJSON = { 'content-type': 'application/x-ndjson' };

/** An event with a new id. */
export const event = (more: object = {}) => ({
  event_id: randomUUID(),
  source_id: 'source-1',
  severity: 'low',
  event_type: 'tick',
  ...more,
});

/** The lines of an NDJSON body. */
export const lines = (items: readonly unknown[]) => items.map((item) => `${JSON.stringify(item)}\n`).join('');
