import { Client, Connection } from '@temporalio/client';
import { waitFor } from '../test/support/wait-for.ts';
import { HOUSEKEEPING_WORKFLOW_ID } from '../workflows/ids.ts';
import type { Bench } from './bench.ts';
import { replaceRules } from './rules.ts';

/**
 * Starts the processes that judge, follow and notify, if they don't run yet. They start without rules: those
 * that a measure then makes as rows get their workflows when they are first woken, or from housekeeping's
 * next round, a minute later.
 */
export async function startWorkers({ system, database }: Bench): Promise<void> {
  if (system.runs('rules')) return;
  await replaceRules(database, 0, 0);
  await Promise.all((['rules', 'incidents', 'notify'] as const).map((role) => system.start(role)));
  const connection = await Connection.connect({ address: system.temporalAddress });
  try {
    const housekeeping = new Client({ connection }).workflow.getHandle(HOUSEKEEPING_WORKFLOW_ID);
    const rests = async () => {
      const { events } = await housekeeping.fetchHistory();
      return events?.some(({ timerStartedEventAttributes }) => timerStartedEventAttributes);
    };
    await waitFor(rests, { what: "housekeeping's first round", everyMs: 100 });
  } finally {
    await connection.close();
  }
}
