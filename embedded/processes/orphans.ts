import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityOf } from './identity.ts';
import { type Log, signalTo } from './process.ts';

type ProcessRecord = { pid: number; identity: string };

/** Records in `dir` that we started process `pid` as `name`. If we are killed, the next start finds it. */
export function remember(dir: string, name: string, pid: number): void {
  mkdirSync(dir, { recursive: true });
  const record: ProcessRecord = { pid, identity: identityOf(pid) ?? '' };
  writeFileSync(join(dir, `${name}.json`), JSON.stringify(record));
}

/** Removes the record of a process that has ended. */
export function forget(dir: string, name: string): void {
  rmSync(join(dir, `${name}.json`), { force: true });
}

/**
 * The number of the process recorded as `name`, if that process still lives. A later process with the same
 * number does not count.
 */
export function remembered(dir: string, name: string): number | undefined {
  try {
    const { pid, identity } = JSON.parse(readFileSync(join(dir, `${name}.json`), 'utf8')) as ProcessRecord;
    return identity !== '' && identityOf(pid) === identity ? pid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Stops processes that a killed `npm start` left running: those in `names` first and in that order, then the
 * others. Each gets the signal that stops it in order; for PostgreSQL that is SIGINT. After 30 s it is
 * killed.
 */
export async function endOrphans(dir: string, names: string[], log: Log): Promise<void> {
  for (const name of new Set([...names, ...noted(dir)])) {
    const pid = remembered(dir, name);
    if (pid !== undefined) {
      log(`Ending ${name}, left running by a start that was killed (process ${pid})`);
      await end(pid, name === 'postgres' ? 'SIGINT' : 'SIGTERM', () => remembered(dir, name) === undefined);
    }
    forget(dir, name);
  }
}

function noted(dir: string): string[] {
  try {
    return readdirSync(dir).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -5)] : []));
  } catch {
    return [];
  }
}

async function end(pid: number, orderly: NodeJS.Signals, gone: () => boolean): Promise<void> {
  for (const [signal, graceMs] of [
    [orderly, 30_000],
    ['SIGKILL', 10_000],
  ] as const) {
    if (gone()) return;
    signalTo(pid, signal);
    const giveUp = Date.now() + graceMs;
    while (!gone() && Date.now() < giveUp) await sleep(50);
  }
}
