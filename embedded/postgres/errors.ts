import { portTaken } from '../ports.ts';
import { diskFull, StartupError } from '../startup-error.ts';

/** Says in one sentence why PostgreSQL or initdb ended before it was ready, from its output. */
export function postgresStartupError(
  output: string,
  dataDir: string,
  port: number,
  logFile: string,
): StartupError {
  return new StartupError(sentence(output, dataDir, port, logFile));
}

/** The error for a data directory that PostgreSQL cannot use. */
export function damaged(dataDir: string, detail: string): string {
  return (
    `The PostgreSQL data in ${dataDir} cannot be used (${detail}): ` +
    'restore it from a backup, or move it away to start empty.'
  );
}

/**
 * True while processes of a killed PostgreSQL still release its shared memory. Another attempt may then
 * succeed.
 */
export function isStillLettingGo(output: string): boolean {
  return /pre-existing shared memory block/.test(output);
}

function sentence(output: string, dataDir: string, port: number, logFile: string): string {
  if (/No space left on device|Disk quota exceeded/.test(output)) return diskFull(dataDir);
  if (/Address already in use/.test(output))
    return portTaken(port, 'PostgreSQL', 'stop that one, or set PG_PORT');
  if (/Permission denied/.test(output)) {
    return `PostgreSQL cannot read or write ${dataDir}: check who owns it, or choose another place with DATA_DIR.`;
  }
  // PostgreSQL also logs a FATAL line when it refuses our own early connections.
  const reasons = [
    ...output.matchAll(/(?:PANIC: {2}|FATAL: {2}|error: |^postgres: )(?!the database system is)(.+)/gm),
  ];
  const reason = reasons.at(-1)?.[1]?.trim();
  if (!reason) return `PostgreSQL did not start: its log is ${logFile}.`;
  return /configuration|parameter/.test(reason)
    ? `PostgreSQL did not start (${reason}): its log is ${logFile}.`
    : damaged(dataDir, reason);
}
