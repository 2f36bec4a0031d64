import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { insertDeadLetters } from '../../db/queries/dead-letters/writes.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { notePending } from '../../db/queries/rules/revisions.ts';
import { lastRounds, wedgedOf } from '../../db/queries/system/housekeeping-rounds.ts';
import { tidyNow } from '../../workflows/housekeeping.ts';
import { deadLetterWorkflowId, HOUSEKEEPING_WORKFLOW_ID, ruleWorkflowId } from '../../workflows/ids.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { type Stage, stage } from '../rules/stage.ts';
import { aRule } from '../support/engine.ts';
import { waitFor } from '../support/wait-for.ts';

describe('housekeeping', () => {
  let there: Stage;
  beforeEach(async () => {
    there = await stage();
    await there.startWorker();
  });
  afterEach(() => there.close());

  const handle = () => there.client.workflow.getHandle(HOUSEKEEPING_WORKFLOW_ID);
  const rounds = () => lastRounds(sqlOf(there.orm));
  const bothDone = async () => (await rounds()).filter(({ succeeded_at }) => succeeded_at).length === 2;

  it('is started again if somebody terminated it and its last round is old', async () => {
    there.startHousekeeping();
    await waitFor(bothDone, { what: 'its first round' });
    await handle().terminate('in the Web UI');
    await sql`update housekeeping set started_at = started_at - interval '1 hour',
      ended_at = ended_at - interval '1 hour', succeeded_at = succeeded_at - interval '1 hour'`.execute(
      sqlOf(there.orm),
    );
    there.startHousekeeping();
    await waitFor(async () => (await rounds()).every(({ ended_at }) => ended_at > Date.now() - 60_000), {
      what: 'another round',
    });
  });

  it('records why a step failed, and when it last succeeded', async () => {
    there.startHousekeeping();
    await waitFor(bothDone, { what: 'its first round' });
    const rename = (from: string, to: string) =>
      sql.raw(`alter table ${from} rename to ${to}`).execute(sqlOf(there.orm));
    await rename('producers', 'away');
    await handle().signal(tidyNow);
    await waitFor(
      async () =>
        (await rounds()).some(
          ({ step, error, succeeded_at, ended_at }) =>
            step === 'workflows' && /producers/.test(error ?? '') && succeeded_at! < ended_at,
        ),
      { what: 'the failed round' },
    );
    await rename('away', 'producers');
  });

  it('restarts the retries of dead letters at their place in the schedule', async () => {
    const id = crypto.randomUUID();
    const created_at = Date.now() - 3_600_000;
    await insertDeadLetters(there.orm, [
      {
        ...{ id, source_id: 'source', kind: 'batch', failure: 'transient', reason: 'away', field: null },
        ...{ content: {}, event_count: 1, created_at, unheard: null },
      },
    ]);
    await sql`update dead_letters set attempts = 2`.execute(sqlOf(there.orm));
    there.startHousekeeping();
    const workflow = there.client.workflow.getHandle(deadLetterWorkflowId('source'));
    const { events } = await waitFor(() => workflow.fetchHistory(), { what: 'its workflow' });
    const input = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
    assert.deepEqual(JSON.parse(Buffer.from(input!).toString()), {
      source_id: 'source',
      resume: { unrecorded: [], retrying: [{ id, retries: 2, next_at: created_at + 60_000 }] },
    });
  });

  it('names a workflow whose code fails at each attempt', async () => {
    const { id } = await createRule(there.orm, aRule(), Date.now());
    const workflowId = ruleWorkflowId(id);
    // Like code that no longer fits its history: no worker can run it.
    await there.client.workflow.start('noSuchWorkflow', { workflowId, taskQueue: QUEUES.rules });
    await notePending(sqlOf(there.orm), id, 1, [{ group_key: '', from_at: 0, to_at: 0 }]);
    await sql`update pending_evaluations set noted_at = now() - interval '2 minutes'`.execute(
      sqlOf(there.orm),
    );
    await waitFor(
      async () => {
        const { raw } = await there.client.workflow.getHandle(workflowId).describe();
        return Number(raw.pendingWorkflowTask?.attempt ?? 0) >= 3;
      },
      { what: 'its task to fail again and again' },
    );
    there.startHousekeeping();
    await waitFor(bothDone, { what: 'a round' });
    const [wedged, ...others] = wedgedOf(await rounds());
    assert.deepEqual(others, []);
    assert.equal(wedged?.workflow_id, workflowId);
    assert.match(wedged?.reason ?? '', /noSuchWorkflow/);
  });
});
