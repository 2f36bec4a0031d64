/** The house scale, worst first. Any other string is kept on the event and ranks as `info`. */
const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'] as const;

export type Severity = (typeof SEVERITIES)[number];

/** 0 for critical to 4 for info and for every string the scale doesn't know. */
function severityRank(severity: string): number {
  const rank = (SEVERITIES as readonly string[]).indexOf(severity);
  return rank === -1 ? SEVERITIES.length - 1 : rank;
}

/** The worse of two severities; the first where they rank alike. */
export function worse(a: string, b: string): string {
  return severityRank(b) < severityRank(a) ? b : a;
}

/**
 * Severities of Alertmanager and PagerDuty that have another name here. An alert without a severity gets
 * `medium`, because its sender wanted somebody to be told.
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
