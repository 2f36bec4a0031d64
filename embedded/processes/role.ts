import { join } from 'node:path';
import { StartupError } from '../startup-error.ts';
import { type Launched, type Log, launch } from './process.ts';
import type { Running } from './supervise.ts';

const root = join(import.meta.dirname, '../..');
/** How long a role may take to finish what it has begun after SIGTERM. */
export const drainMs = 30_000;
/**
 * Small nurseries and few malloc arenas. The workers' seven threads otherwise take memory that they don't
 * use: measured on the samples, 440 MB and flat instead of 600 MB and growing after eight minutes, with 140
 * MB of live objects either way.
 */
export const thrift = { args: ['--max-semi-space-size=8'], env: { MALLOC_ARENA_MAX: '2' } };

/**
 * The API runs with Node's usual nursery, which costs it no more memory. In the small one, objects of
 * requests in progress fill half of the nursery at each collection, and collections take a third of the API's
 * processor time.
 */
export const apiNursery = '--max-semi-space-size=16';

export type Role = Running & Pick<Launched, 'output' | 'hasExited'>;

export type RoleOptions = { name: string; args: string[]; env: NodeJS.ProcessEnv; logFile: string; log: Log };

/** Runs a script of the project, such as `api/main.ts`, as a process that drains on SIGTERM. */
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

/** Runs a script to its end. Throws StartupError with its last words if it fails. */
export async function runScript(what: string, options: RoleOptions): Promise<void> {
  const role = await startRole(options);
  const { code } = await role.exited;
  if (code !== 0) throw new StartupError(`${what} (${lastWords(role.output(), options.logFile)}).`);
}

/** The last thing a process wrote that a person can read: plain text, or the message of a JSON log line. */
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
