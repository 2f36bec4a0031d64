/**
 * Converts a severity number of OpenTelemetry, 1 to 24 in steps of four from trace to fatal, into one of
 * Tocsin's severities.
 */
export function severityOfNumber(number: number): string {
  if (number >= 21) return 'critical';
  if (number >= 17) return 'high';
  if (number >= 13) return 'medium';
  return 'info';
}

/**
 * Names of log levels with Tocsin's severities: syslog's names and numbers (RFC 5424), those of common
 * logging libraries, and pino's numbers.
 */
const SEVERITY_NAMES: Readonly<Record<string, string>> = {
  critical: 'critical',
  high: 'high',
  medium: 'medium',
  low: 'low',
  info: 'info',
  emerg: 'critical',
  emergency: 'critical',
  panic: 'critical',
  fatal: 'critical',
  alert: 'critical',
  crit: 'critical',
  error: 'high',
  err: 'high',
  severe: 'high',
  warn: 'medium',
  warning: 'medium',
  notice: 'low',
  information: 'info',
  informational: 'info',
  debug: 'info',
  trace: 'info',
  verbose: 'info',
  0: 'critical',
  1: 'critical',
  2: 'critical',
  3: 'high',
  4: 'medium',
  5: 'low',
  6: 'info',
  7: 'info',
  10: 'info',
  20: 'info',
  30: 'info',
  40: 'medium',
  50: 'high',
  60: 'critical',
};

/** OpenTelemetry's short names: TRACE, TRACE2, TRACE3, TRACE4, DEBUG … FATAL4. */
const SHORT_NAME = /^(trace|debug|info|warn|error|fatal)[1-4]$/;

/** Converts the name of a level, in any case; undefined if it is unknown. */
export function severityOfName(name: string): string | undefined {
  const word = name.trim().toLowerCase();
  const known = SHORT_NAME.exec(word)?.[1] ?? word;
  return Object.hasOwn(SEVERITY_NAMES, known) ? SEVERITY_NAMES[known] : undefined;
}
