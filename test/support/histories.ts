import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';

// Not historyToJSON of @temporalio/common: where npm installs protobufjs more than once, its type check fails.
const { History } = proto.temporal.api.history.v1;
const dir = join(import.meta.dirname, '../histories');

/** Keeps a run's history for the replay tests, when asked to: `RECORD_HISTORIES=1 npx mocha`. */
export async function keepHistory(handle: WorkflowHandle, name: string): Promise<void> {
  if (!process.env.RECORD_HISTORIES) return;
  mkdirSync(dir, { recursive: true });
  const history = History.create(await handle.fetchHistory());
  const json = History.toObject(history, { enums: String, longs: String, bytes: String });
  // Who ran it, and in which folder, is nobody's business.
  const private_ = new Map([
    ['identity', 'test'],
    ['stackTrace', ''],
  ]);
  const text = JSON.stringify(json, (key, value) => private_.get(key) ?? value, 1);
  writeFileSync(join(dir, `${name}.json`), `${text}\n`);
}

/** The histories that were kept under names with one of these prefixes. */
export function keptHistories(...prefixes: string[]) {
  return readdirSync(dir)
    .filter((name) => prefixes.some((prefix) => name.startsWith(prefix)))
    .map((name) => ({
      workflowId: name,
      history: History.fromObject(JSON.parse(readFileSync(join(dir, name), 'utf8'))),
    }));
}
