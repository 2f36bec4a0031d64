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
    // The name in field 2 may hold spaces and brackets, so fields are counted from its last bracket on.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    return command && `${fields[19]} ${command}`;
  } catch {
    return undefined;
  }
}

/** True while a process of this number lives, whoever owns it. */
export function isAlive(pid: number): boolean {
  return identityOf(pid) !== undefined;
}

function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
}
