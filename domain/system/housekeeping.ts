/** The steps of a round, by the names of their rows. */
export const HOUSEKEEPING_STEPS = ['partitions', 'workflows'] as const;
export type HousekeepingStep = (typeof HOUSEKEEPING_STEPS)[number];

/** A round is begun every minute: when none succeeded for this long, something is wrong. Milliseconds. */
export const ROUND_OVERDUE_MS = 5 * 60_000;

/** A workflow whose code fails each time it is to go on. */
export interface WedgedWorkflow {
  workflow_id: string;
  /** How often its task was tried. */
  attempts: number;
  reason: string;
}
