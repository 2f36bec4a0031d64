import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';

// Not historyToJSON of @temporalio/common: where npm installs protobufjs more than once, its type check fails.
const { History } = proto.temporal.api.history.v1;
const dir = join(import.meta.dirname, '../histories');

/**
 * Keeps a finished run's history for the replay test, when asked to:
 * `RECORD_HISTORIES=1 npx mocha`.
 */
export async function keepHistory(handle: WorkflowHandle, name: string): Promise<void> {
  if (!process.env.RECORD_HISTORIES) return;
  mkdirSync(dir, { recursive: true });
  const history = History.create(await handle.fetchHistory());
  const json = History.toObject(history, { enums: String, longs: String, bytes: String });
  // Who ran it is nobody's business.
  const text = JSON.stringify(json, (key, value) => (key === 'identity' ? 'test' : value), 1);
  writeFileSync(join(dir, `incident-${name}.json`), `${text}\n`);
}

/** The histories of incident workflows that were kept. */
export function keptHistories() {
  return readdirSync(dir)
    .filter((name) => name.startsWith('incident-'))
    .map((name) => ({
      workflowId: name,
      history: History.fromObject(JSON.parse(readFileSync(join(dir, name), 'utf8'))),
    }));
}
