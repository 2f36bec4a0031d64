import assert from 'node:assert/strict';
import { WithStartWorkflowOperation } from '@temporalio/client';
import { sql } from 'kysely';
import { sqlOf } from '../../../db/orm.ts';
import { deadLetterId } from '../../../domain/producers/simulate.ts';
import { deadLetterWorkflowId } from '../../../workflows/ids.ts';
import { addDeadLetter, deadLetterStatus, type HeldBatch } from '../../../workflows/messages.ts';
import { FAILURES } from '../../../workflows/retry-policies.ts';
import { deadLetterWorkflow } from '../../../workflows/startable.ts';
import { simulated } from '../../producers/settings.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

const source_id = 'letters-upgraded';
const rename = ({ orm }: Stage, from: string, to: string) =>
  sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(sqlOf(orm));
const status = ({ client }: Stage) =>
  client.workflow.getHandle(deadLetterWorkflowId(source_id)).query(deadLetterStatus);

function letter(ageMs: number): HeldBatch {
  const tick_at = Math.floor(Date.now() / 1000) * 1000 - ageMs;
  const batch = {
    ...{ source_id, first_sequence: 0, from_at: tick_at - 1000, tick_at, appended_through: tick_at - 1000 },
    settings: simulated({ tick_ms: 1000 }),
  };
  const id = deadLetterId('batch', source_id, 0, tick_at);
  return { id, batch, failure: FAILURES.transient, reason: 'away', failed_at: Date.now() };
}

async function add({ client }: Stage, held: HeldBatch): Promise<void> {
  const { type, ...options } = deadLetterWorkflow(source_id);
  await client.workflow.executeUpdateWithStart(addDeadLetter, {
    args: [held],
    startWorkflowOperation: new WithStartWorkflowOperation(type, {
      ...options,
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  });
}

export const deadLetter: Scenario = {
  name: 'a dead letter that waits for its retry, and one that PostgreSQL does not have yet',
  async begin(there) {
    await add(there, letter(60_000));
    await waitFor(async () => (await status(there)).retrying === 1, { what: 'its record' });
    await rename(there, 'dead_letters', 'away');
    await add(there, letter(30_000));
    assert.equal((await status(there)).unrecorded, 1);
  },
  async between(there) {
    await rename(there, 'away', 'dead_letters');
  },
  async goesOn(there) {
    const handle = there.client.workflow.getHandle(deadLetterWorkflowId(source_id));
    await waitFor(async () => (await status(there)).unrecorded === 0, { what: 'the second to be recorded' });
    await handle.result();
    const { rows } = await sql<{ state: string }>`
      select state from dead_letters where source_id = ${source_id}`.execute(sqlOf(there.orm));
    assert.deepEqual(
      rows.map(({ state }) => state),
      ['redriven', 'redriven'],
    );
  },
};
