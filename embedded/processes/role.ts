import { join } from 'node:path';
import { StartupError } from '../startup-error.ts';
import { type Launched, type Log, launch } from './process.ts';
import type { Running } from './supervise.ts';

const root = join(import.meta.dirname, '../..');
/** How long a role may take to finish its work after SIGTERM, in milliseconds. */
export const drainMs = 30_000;
/**
 * Options that save memory: a small young generation of V8's heap, and few malloc arenas. The seven threads
 * of the workers otherwise reserve memory that they do not use. With the sample producers, memory stayed at
 * 440 MB; without the options it reached 600 MB after eight minutes and grew. Live objects took 140 MB in
 * both cases.
 */
export const thrift = { args: ['--max-semi-space-size=8'], env: { MALLOC_ARENA_MAX: '2' } };

/**
 * The API keeps V8's usual young generation, which costs no more memory. With a small one, objects of open
 * requests fill half of it at each garbage collection, and collections take a third of the API's CPU time.
 */
export const apiNursery = '--max-semi-space-size=16';

export type Role = Running & Pick<Launched, 'output' | 'hasExited'>;

export type RoleOptions = { name: string; args: string[]; env: NodeJS.ProcessEnv; logFile: string; log: Log };

/** Starts a script of the project, such as `api/main.ts`, as a process that finishes its work on SIGTERM. */
export async function startRole({ name, args, env, logFile, log }: RoleOptions): Promise<Role> {
  const child = await launch({
    command: process.execPath,
    args: [...thrift.args, ...args],
    env: { ...thrift.env, ...env },
    cwd: root,
    logFile,
  });
  return {
    ...child,
    async stop() {
      await child.stop(
        [
          ['SIGTERM', drainMs],
          ['SIGKILL', 10_000],
        ],
        (signal) => {
          if (signal === 'SIGKILL') log(`${name} has not drained in ${drainMs / 1000} s and is killed`);
        },
      );
    },
  };
}

/** Runs a script to its end. @throws StartupError with its last message if it fails */
export async function runScript(what: string, options: RoleOptions): Promise<void> {
  const role = await startRole(options);
  const { code } = await role.exited;
  if (code !== 0) throw new StartupError(`${what} (${lastWords(role.output(), options.logFile)}).`);
}

/** The last readable message of a process: plain text, or the message of a JSON log line. */
export function lastWords(output: string, logFile: string): string {
  const line = output.trim().split('\n').at(-1)?.trim();
  if (!line) return `its log is ${logFile}.`;
  try {
    const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } };
    return [msg, err?.message].filter(Boolean).join(': ') || line;
  } catch {
    return line;
  }
}
