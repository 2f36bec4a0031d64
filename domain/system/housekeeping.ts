/** The steps of a housekeeping round, by the names in their rows. */
export const HOUSEKEEPING_STEPS = ['partitions', 'workflows'] as const;
export type HousekeepingStep = (typeof HOUSEKEEPING_STEPS)[number];

/** If no round succeeded for this long, something is wrong; a round begins every minute. Milliseconds. */
export const ROUND_OVERDUE_MS = 5 * 60_000;

/** A workflow that cannot continue because its code fails at every attempt. */
export interface WedgedWorkflow {
  workflow_id: string;
  /** How often its task was tried. */
  attempts: number;
  reason: string;
}
