import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * What tells one process from a later one that was given the same number: its start time and command line.
 * Undefined when there is no such process, or only its zombie.
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

/**
 * The process that started `pid`, or whoever took it over; undefined where that cannot be told. Linux only.
 */
export function parentOf(pid: number): number | undefined {
  try {
    return Number(statOf(pid)[1]);
  } catch {
    return undefined;
  }
}

/**
 * Whether `assignment`, such as `HOME=/root`, was in the environment that process `pid` began with. Linux
 * only: false elsewhere.
 */
export function startedWith(pid: number, assignment: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(assignment);
  } catch {
    return false;
  }
}

/** True while a process of this number lives, whoever owns it. */
export function isAlive(pid: number): boolean {
  return identityOf(pid) !== undefined;
}

function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
}

/** Fields of proc_pid_stat(5) from the third on: the name in the second may hold spaces and brackets. */
function statOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
}
