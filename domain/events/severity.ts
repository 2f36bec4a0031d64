/** Tocsin's severities, worst first. Other strings are stored as they are and rank like `info`. */
const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'] as const;

export type Severity = (typeof SEVERITIES)[number];

/** The rank of a severity: 0 for critical to 4 for info and unknown strings. */
function severityRank(severity: string): number {
  const rank = (SEVERITIES as readonly string[]).indexOf(severity);
  return rank === -1 ? SEVERITIES.length - 1 : rank;
}

/** The worse of two severities. If they rank alike, the first. */
export function worse(a: string, b: string): string {
  return severityRank(b) < severityRank(a) ? b : a;
}

/**
 * Names of Alertmanager's and PagerDuty's severities that differ from ours. An alert without a severity gets
 * `medium`, because its sender wants somebody to be told.
 */
const RECEIVED_SEVERITIES = new Map([
  ['', 'medium'],
  ['error', 'high'],
  ['warning', 'medium'],
]);

/**
 * Converts Alertmanager's `severity` label or PagerDuty's severity. An unknown severity is kept, up to 32
 * characters.
 */
export function receivedSeverity(given: string | undefined): string {
  const word = (given ?? '').trim();
  const lower = word.toLowerCase();
  if ((SEVERITIES as readonly string[]).includes(lower)) return lower;
  return RECEIVED_SEVERITIES.get(lower) ?? word.slice(0, 32).replace(/[\uD800-\uDBFF]$/, '');
}
