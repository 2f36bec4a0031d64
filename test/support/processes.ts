import { join } from 'node:path';
import { type Exit, launch, signalTo } from '../../embedded/processes/process.ts';
import { temporaryDirectory } from './temporary.ts';

export type Role = {
  pid: number;
  kill(signal?: NodeJS.Signals): void;
  exited: Promise<Exit>;
  /** Its output so far, stdout and stderr. */
  output(): string;
};

const running = new Map<number, Role>();

/**
 * Runs a script of the project as a process, as in production: `spawnRole('workers/main.ts', ['rules'],
 * env)`. `env` is added to ours. The process is killed when the test run ends.
 */
export async function spawnRole(script: string, args: string[], env: Record<string, string>): Promise<Role> {
  const child = await launch({
    command: process.execPath,
    args: [script, ...args],
    env: { ...process.env, ...env },
    cwd: join(import.meta.dirname, '../..'),
    logFile: join(temporaryDirectory(), 'output.log'),
  });
  const role: Role = {
    pid: child.pid,
    exited: child.exited,
    output: child.output,
    kill: (signal = 'SIGTERM') => {
      if (!child.hasExited()) signalTo(child.pid, signal);
    },
  };
  running.set(child.pid, role);
  void child.exited.then(() => running.delete(child.pid));
  return role;
}

/** Kills everything that `spawnRole` started and that still runs, with children. */
export function killSpawned(): void {
  for (const role of running.values()) role.kill('SIGKILL');
}
