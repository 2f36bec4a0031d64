import { defineSignal, log, proxyActivities, setHandler, workflowInfo } from '@temporalio/workflow';
import type { HousekeepingActivities } from '../activities/housekeeping/index.ts';
import { ABOUT_HOUSEKEEPING } from '../domain/temporal-ui/about.ts';
import { codeSpan } from '../domain/temporal-ui/text.ts';
import { reasonOf } from './failure-of.ts';
import { retryPolicies } from './retry-policies.ts';
import { continueShown, Shown, until } from './shown.ts';

/** Pause between rounds, in milliseconds. */
const EVERY_MS = 60_000;
const ROUNDS_A_RUN = 500;

const { keepPartitions } = proxyActivities<HousekeepingActivities>({
  ...retryPolicies.housekeeping,
  summary: 'Partitions ahead, retention behind',
});
const { reconcile } = proxyActivities<HousekeepingActivities>({
  ...retryPolicies.housekeeping,
  summary: 'Start what should run',
});

/** Starts a round at once. */
export const tidyNow = defineSignal('tidyNow');

/**
 * Once a minute: creates partitions, applies retention, and starts the workflows of enabled rules, producers
 * and open incidents that do not run. A terminated workflow thus returns within a minute.
 */
export async function housekeeping(): Promise<void> {
  let asked = false;
  const shown = new Shown();
  setHandler(tidyNow, () => {
    asked = true;
  });
  for (let round = 0; round < ROUNDS_A_RUN && !workflowInfo().continueAsNewSuggested; round++) {
    // The steps are independent: if a partition cannot be dropped, workflows must start nevertheless.
    const [partitions, started] = await Promise.allSettled([keepPartitions(), reconcile()]);
    shown.upsert(ABOUT_HOUSEKEEPING);
    shown.setDetails([
      `Next round at ${new Date(Date.now() + EVERY_MS).toISOString()}.`,
      `${partitionsLine(partitions)}\n${startedLine(started)}`,
    ]);
    for (const step of [partitions, started]) {
      if (step.status === 'rejected')
        log.error('housekeeping failed; it is repeated', { error: step.reason });
    }
    await until(() => asked, EVERY_MS, 'Next round');
    asked = false;
  }
  await continueShown<typeof housekeeping>();
}

type Result<K extends keyof HousekeepingActivities> = PromiseSettledResult<
  Awaited<ReturnType<HousekeepingActivities[K]>>
>;

function partitionsLine(result: Result<'keepPartitions'>): string {
  if (result.status === 'rejected')
    return `- Partitions: **failed**, ${codeSpan(reasonOf(result.reason), 500)}`;
  return `- Partitions in the last round: ${result.value.made} made, ${result.value.dropped} dropped.`;
}

function startedLine(result: Result<'reconcile'>): string {
  if (result.status === 'rejected')
    return `- Starting workflows: **failed**, ${codeSpan(reasonOf(result.reason), 500)}`;
  const { rules, producers, incidents, dead_letters } = result.value;
  return `- Workflows started from their rows: ${rules} rules, ${producers} producers, ${incidents} incidents, ${dead_letters ?? 0} sources of dead letters.`;
}
