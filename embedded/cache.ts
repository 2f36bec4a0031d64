import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from './processes/identity.ts';
import type { Log } from './processes/process.ts';
import { fileError, systemCode } from './startup-error.ts';

/**
 * The folder that keeps programs which `npm ci` cannot install. All clones of the repository share it. `key`
 * names the program and its version.
 */
export function cacheDir(key: string): string {
  return join(
    process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
    'tocsin',
    `${key}-${process.platform}-${process.arch}`,
  );
}

/**
 * Fills a cache entry. `make` writes into an empty directory, which gets its final name only once it is
 * complete. If several processes need the entry, one makes it and the others wait; each calls `isMade` again
 * when its turn comes.
 * @returns false if `make` returns false or fails
 * @throws StartupError if the cache cannot be written
 */
export async function fill(
  dir: string,
  isMade: () => boolean,
  make: (unfinished: string) => Promise<boolean>,
  log: Log,
): Promise<boolean> {
  const release = await lock(`${dir}.lock`, log);
  const unfinished = `${dir}.new`;
  try {
    if (isMade()) return true;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    if (!(await make(unfinished))) return false;
    rmSync(dir, { recursive: true, force: true });
    renameSync(unfinished, dir);
    return true;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
    release();
  }
}

async function lock(file: string, log: Log): Promise<() => void> {
  let told = false;
  for (;;) {
    try {
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw fileError(file, error);
    }
    const holder = Number(readLock(file));
    if (holder > 0 && !isAlive(holder)) rmSync(file, { force: true });
    else {
      if (!told) log('Another process is fetching the same program: waiting for it');
      told = true;
      await sleep(500);
    }
  }
}

function readLock(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
