import { Client, Connection } from '@temporalio/client';
import { waitFor } from '../test/support/wait-for.ts';
import { HOUSEKEEPING_WORKFLOW_ID } from '../workflows/ids.ts';
import type { Bench } from './bench.ts';
import { replaceRules } from './rules.ts';

/**
 * Starts the processes for rules, incidents and notices, if they do not run. They start without rules. If a
 * measurement inserts rules as rows, their workflows start with the first wake, or with the next round of
 * housekeeping, within a minute.
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
