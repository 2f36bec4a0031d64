import { spawnSync } from 'node:child_process';
import { readdirSync, renameSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isExecutable } from './processes/executable.ts';
import { type Log, launch, within } from './processes/process.ts';

/**
 * How long the SDK's download of about 100 MB may take, in milliseconds. Without internet it fails at once.
 */
const downloadMs = 180_000;
const progressMs = 20_000;

/**
 * Lets the SDK download a server into `dir`, and names the file `name`. Returns false if the download failed
 * or took too long.
 */
export async function downloadBySdk(
  kind: 'dev-server' | 'test-server',
  dir: string,
  name: string,
): Promise<boolean> {
  const ok = await runToEnd({
    command: process.execPath,
    args: [join(import.meta.dirname, 'temporal/sdk-download.ts'), kind, dir],
    logFile: join(dir, 'download.log'),
    limitMs: downloadMs,
  });
  const program = readdirSync(dir).find(
    (file) => file.startsWith('temporal-') && isExecutable(join(dir, file)),
  );
  if (!ok || !program) return false;
  renameSync(join(dir, program), join(dir, name));
  return true;
}

/**
 * Runs a program to its end, for at most `limitMs` milliseconds. If `progress` names it, a line every 20 s
 * says that it still runs. Returns true if it succeeded. Its output goes to `logFile`.
 */
export async function runToEnd(options: {
  command: string;
  args: string[];
  logFile: string;
  limitMs: number;
  env?: NodeJS.ProcessEnv;
  progress?: { log: Log; what: string };
}): Promise<boolean> {
  const { limitMs, progress, ...program } = options;
  const started = Date.now();
  const run = await launch(program);
  while (!(await within(progressMs, run.exited)) && Date.now() - started < limitMs) {
    progress?.log(`${progress.what}: ${Math.round((Date.now() - started) / 1000)} s`);
  }
  const { code } = await run.stop([['SIGKILL', 5_000]]);
  return code === 0;
}

/** Finds a program on PATH that succeeds with `args`; undefined if there is none. */
export function onPath(name: string, args: string[]): string | undefined {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(dir || '.', name);
    if (isExecutable(file) && spawnSync(file, args, { stdio: 'ignore', timeout: 20_000 }).status === 0)
      return file;
  }
  return undefined;
}
