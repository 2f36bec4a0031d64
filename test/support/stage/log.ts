import { pino } from 'pino';

export const silent = pino({ level: 'silent' });

/** A log whose lines the test can read. */
export function capturedLog(level = 'warn') {
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  return { log, logged };
}
