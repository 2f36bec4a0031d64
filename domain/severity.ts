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
