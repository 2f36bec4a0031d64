import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Start time and command line of a process. They distinguish it from a later process with the same number.
 * Undefined if there is no such process, or only its zombie.
 */
export function identityOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') {
      return (
        execFileSync('ps', ['-o', 'lstart=,command=', '-p', String(pid)], { encoding: 'utf8' }).trim() ||
        undefined
      );
    }
    const command = commandLine(pid);
    return command && `${statOf(pid)[19]} ${command}`;
  } catch {
    return undefined;
  }
}

/** The number of the parent process, or undefined where that cannot be found out. Linux only. */
export function parentOf(pid: number): number | undefined {
  try {
    return Number(statOf(pid)[1]);
  } catch {
    return undefined;
  }
}

/**
 * Says whether process `pid` was started with `assignment`, such as `HOME=/root`, in its environment. Linux
 * only; false elsewhere.
 */
export function startedWith(pid: number, assignment: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(assignment);
  } catch {
    return false;
  }
}

/** Says whether a process with this number lives, whoever owns it. */
export function isAlive(pid: number): boolean {
  return identityOf(pid) !== undefined;
}

function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
}

/**
 * Fields of proc_pid_stat(5) from the third on. The second is a name that may contain spaces and brackets.
 */
function statOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
}
