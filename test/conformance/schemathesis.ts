import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../../embedded/cache.ts';
import { onPath } from '../../embedded/fetch-program.ts';

const VERSION = '4.32.5';

/**
 * Finds schemathesis on PATH, or in the cache, where pip installs it the first time. @throws Error without
 * Python
 */
export async function schemathesis(): Promise<string> {
  const found = onPath('schemathesis', ['--version']);
  if (found) return found;
  const dir = cacheDir(`schemathesis-${VERSION}`);
  const program = join(dir, 'bin', 'schemathesis');
  const python = onPath('python3', ['--version']);
  if (!python) throw new Error('the conformance run needs Python 3, or schemathesis itself on PATH');
  const isMade = () => existsSync(program);
  // A Python environment cannot be moved, so it is created in its final place. An incomplete one has no
  // program.
  const make = async () => {
    console.log('schemathesis: installing it with pip, once');
    run(python, ['-m', 'venv', '--clear', dir]);
    run(join(dir, 'bin', 'pip'), ['install', '--quiet', `schemathesis==${VERSION}`]);
    return isMade();
  };
  if (!isMade()) await make();
  return program;
}

function run(command: string, args: string[]): void {
  const { status } = spawnSync(command, args, { stdio: 'inherit', timeout: 300_000 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}
