import assert from 'node:assert/strict';
import { WithStartWorkflowOperation } from '@temporalio/client';
import { sql } from 'kysely';
import { ProducerEntity } from '../../../db/entities/producer.ts';
import { sqlOf } from '../../../db/orm.ts';
import { producerWorkflowId } from '../../../workflows/ids.ts';
import {
  configureProducer,
  pauseProducer,
  producerStatus,
  stopProducer,
} from '../../../workflows/messages.ts';
import { producerWorkflow } from '../../../workflows/startable.ts';
import { simulated } from '../../producers/settings.ts';
import { waitFor } from '../../support/wait-for.ts';
import { pendingActivities } from '../runs.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

const id = 'source-upgraded';
const settings = simulated();

async function sequences({ orm }: Stage): Promise<number[]> {
  const { rows } = await sql<{ sequence: number }>`
    select (payload ->> 'sequence')::int as sequence from events where source_id = ${id} order by 1`.execute(
    sqlOf(orm),
  );
  return rows.map(({ sequence }) => sequence);
}

export const producer: Scenario = {
  name: 'a producer with batches on their way, one tick due, and a pause asked for meanwhile',
  async begin(there) {
    const now = new Date();
    await there.orm.em
      .fork()
      .upsert(ProducerEntity, { id, settings, paused: false, createdAt: now, updatedAt: now });
    const { type, ...options } = producerWorkflow({ source_id: id, settings });
    await there.client.workflow.executeUpdateWithStart(configureProducer, {
      args: [{ settings }],
      startWorkflowOperation: new WithStartWorkflowOperation(type, {
        ...options,
        workflowIdConflictPolicy: 'USE_EXISTING',
      }),
    });
    await waitFor(async () => (await sequences(there)).length >= 8, { what: 'its first events' });
    there.refusing.add(id);
    const handle = there.client.workflow.getHandle(producerWorkflowId(id));
    await waitFor(async () => (await pendingActivities(handle)).length >= 4, {
      what: 'batches on their way',
    });
  },
  async goesOn(there) {
    const handle = there.client.workflow.getHandle(producerWorkflowId(id));
    const before = await sequences(there);
    there.refusing.delete(id);
    await waitFor(async () => (await sequences(there)).length > before.length + 40, { what: 'more events' });
    await handle.executeUpdate(pauseProducer, { args: [{ actor: 'ada' }] });
    assert.equal((await handle.query(producerStatus)).state, 'paused');
    await handle.executeUpdate(stopProducer, { args: [{ actor: 'ada' }] });
    await handle.result();
    const all = await sequences(there);
    assert.deepEqual(
      all,
      all.map((_, i) => i),
      'a sequence number is missing or doubled',
    );
  },
};
