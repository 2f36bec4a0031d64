import type { Stage } from './stage.ts';

/**
 * What a scenario does before the workers are replaced, while none runs, and afterwards. Each step may store
 * what later steps need.
 */
export interface Scenario {
  /** What continues, for the title of the test. */
  name: string;
  /**
   * Brings a workflow of the last release into the middle of its work, with pending timers, activities and
   * messages.
   */
  begin(there: Stage): Promise<void>;
  /** Runs while there is no worker: what arrives meanwhile. */
  between?(there: Stage): Promise<void>;
  /** Runs when the current code has taken over. Checks that it finishes what was begun, and does more. */
  goesOn(there: Stage): Promise<void>;
}
