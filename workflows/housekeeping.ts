import {
  condition,
  continueAsNew,
  defineSignal,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { HousekeepingActivities } from '../activities/housekeeping.ts';
import { recordPolicy } from './policies.ts';

/** Pause between rounds. */
const EVERY = '1 minute';
const ROUNDS_A_RUN = 500;

const { keepPartitions, reconcile } = proxyActivities<HousekeepingActivities>({
  ...recordPolicy,
  startToCloseTimeout: '30m',
  heartbeatTimeout: '2m',
});

/** Does a round at once. */
export const tidyNow = defineSignal('tidyNow');

/**
 * Keeps the house: partitions ahead, retention behind, and every enabled rule, producer and open incident with its
 * workflow. A workflow that was terminated comes back within a minute.
 */
export async function housekeeping(): Promise<void> {
  let asked = false;
  setHandler(tidyNow, () => {
    asked = true;
  });
  for (let round = 0; round < ROUNDS_A_RUN && !workflowInfo().continueAsNewSuggested; round++) {
    const partitions = await keepPartitions();
    const started = await reconcile();
    setCurrentDetails(
      `Partitions: ${partitions.made} made, ${partitions.dropped} dropped. Workflows started from their rows in the last round: ${started.rules} rules, ${started.producers} producers, ${started.incidents} incidents.`,
    );
    await condition(() => asked, EVERY);
    asked = false;
  }
  await continueAsNew<typeof housekeeping>();
}
