import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endOrphans, remember, remembered } from '../../embedded/processes/orphans.ts';

const prefix = 'tocsin-test-';
/** Not in `run`, because a start on this directory would stop the processes recorded there. */
const owner = 'test-run';
const mine = new Set<string>();

/**
 * Creates a directory that is removed when the test run ends. Everybody can read it, because PostgreSQL may
 * run as another user.
 */
export function temporaryDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), prefix));
  chmodSync(dir, 0o755);
  remember(join(dir, owner), owner, process.pid);
  mine.add(dir);
  return dir;
}

/** Removes the directories of this test run. */
export function removeTemporary(): void {
  for (const dir of mine) rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  mine.clear();
}

/** Stops servers and removes directories of earlier test runs that were killed. */
export async function sweepAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(prefix))) {
    const dir = join(tmpdir(), name);
    if (mine.has(dir) || remembered(join(dir, owner), owner) !== undefined || isYoung(dir)) continue;
    await endOrphans(join(dir, 'run'), [], () => {});
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Another test run may have created it just now without its mark, or may be removing it. */
function isYoung(dir: string): boolean {
  const made = statSync(dir, { throwIfNoEntry: false })?.mtimeMs;
  return made === undefined || Date.now() - made < 10_000;
}
