import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';

// Not historyToJSON of @temporalio/common: where npm installs protobufjs more than once, its type check
// fails.
const { History } = proto.temporal.api.history.v1;
const dir = join(import.meta.dirname, '../histories');
const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
  version: string;
};

/** Whether this run keeps histories: `RECORD_HISTORIES=1 npx mocha FILE`. */
export const recording = Boolean(process.env.RECORD_HISTORIES);

/**
 * Keeps a run's history, compressed, for the replay test when this run records. Histories only ever get more:
 * one that is there stays as it was recorded, since runs like it may still be running somewhere.
 * @param release whose workflow code made it; the one being worked on by default
 */
export async function keepHistory(
  handle: WorkflowHandle,
  name: string,
  release: string = version,
): Promise<void> {
  if (!recording) return;
  const file = join(dir, release, `${name}.json.gz`);
  if (isKept(name, release)) {
    process.stderr.write(`${file} is there already and is not overwritten\n`);
    return;
  }
  const history = History.create(await handle.fetchHistory());
  const json = History.toObject(history, { enums: String, longs: String, bytes: String });
  // Who ran it, and in which folder, is nobody's business.
  const private_ = new Map([
    ['identity', 'test'],
    ['stackTrace', ''],
  ]);
  const text = JSON.stringify(json, (key, value) => private_.get(key) ?? value, 1);
  mkdirSync(join(dir, release), { recursive: true });
  writeFileSync(file, gzipSync(`${text}\n`, { level: 9 }), { flag: 'wx' });
}

/** Whether a history of that name was recorded for the release. */
export function isKept(name: string, release: string): boolean {
  return existsSync(join(dir, release, `${name}.json.gz`)) || existsSync(join(dir, release, `${name}.json`));
}

/** Every history that was ever kept, named by its release and file. */
export function keptHistories() {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.json(\.gz)?$/.test(name))
    .sort()
    .map((name) => {
      const bytes = readFileSync(join(dir, name));
      const text = name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
      return { workflowId: name, history: History.fromObject(JSON.parse(text.toString('utf8'))) };
    });
}
