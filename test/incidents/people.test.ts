import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { incidentWorkflowId } from '../../workflows/ids.ts';
import type { incident } from '../../workflows/incidents/incident.ts';
import {
  acknowledgeIncident,
  commentIncident,
  incidentStatus,
  resolveIncident,
} from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { keepHistory } from '../support/histories.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Stage, stage } from './stage.ts';

/** The type and message of the failure with which an update was rejected or failed. */
async function refusal(update: Promise<unknown>): Promise<[string | null | undefined, string]> {
  const error = await update.then(
    () => assert.fail('the update was accepted'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof WorkflowUpdateFailedError, String(error));
  assert.ok(error.cause instanceof ApplicationFailure, String(error.cause));
  return [error.cause.type, error.cause.message];
}

describe('people and an incident', () => {
  let there: Stage;
  before(async () => {
    there = await stage({ channels: [] });
  });
  after(() => there.close());

  async function opened(changes = {}) {
    const id = await there.open(changes);
    const handle = await there.signal(id);
    await there.allDone(id, 1);
    return { id, handle };
  }

  it('a second acknowledgement is refused', async () => {
    const { id, handle } = await opened();
    await handle.executeUpdate(acknowledgeIncident, { args: [{ actor: 'ada', comment: 'mine' }] });
    const row = await there.incident(id);
    assert.deepEqual([row.state, row.acknowledgedBy], ['acknowledged', 'ada']);
    assert.ok(row.acknowledgedAt instanceof Date);
    const again = handle.executeUpdate(acknowledgeIncident, { args: [{ actor: 'bob' }] });
    assert.deepEqual(await refusal(again), ['rejected', 'the incident is already acknowledged']);
    const entries = (await there.timeline(id)).filter(({ kind }) => kind === 'acknowledged');
    assert.deepEqual(
      entries.map(({ actor, detail }) => [actor, detail.comment]),
      [['ada', 'mine']],
    );
    assert.equal((await handle.query(incidentStatus)).state, 'acknowledged');
  });

  it('of two acknowledgements at the same time, one succeeds', async () => {
    const { id, handle } = await opened();
    const both = await Promise.allSettled(
      ['ada', 'bob'].map((actor) => handle.executeUpdate(acknowledgeIncident, { args: [{ actor }] })),
    );
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    const entries = (await there.timeline(id)).filter(({ kind }) => kind === 'acknowledged');
    assert.equal(entries.length, 1);
    assert.equal((await there.incident(id)).acknowledgedBy, entries[0]!.actor);
  });

  it('an acknowledgement is refused if the rule resolved the incident before the workflow was signalled', async () => {
    const { id, handle } = await opened();
    await there.recover(id);
    const late = handle.executeUpdate(acknowledgeIncident, { args: [{ actor: 'ada' }] });
    assert.deepEqual(await refusal(late), ['rejected', 'the incident is already resolved']);
    await handle.result();
    assert.equal((await there.incident(id)).acknowledgedBy, null);
  });

  it('a resolve is recorded and sent as a notice, and does not end the episode', async () => {
    const { id, handle } = await opened();
    await handle.executeUpdate(resolveIncident, { args: [{ actor: 'ada', comment: 'fixed' }] });
    await handle.result();
    const row = await there.incident(id);
    assert.deepEqual(
      [row.state, row.resolvedBy, row.resolveReason, row.endedAt],
      ['resolved', 'ada', 'manual', null],
    );
    const notices = await there.notices(id);
    assert.deepEqual(
      notices.map(({ kind, done }) => [kind, done]),
      [
        ['opened', true],
        ['resolved', true],
      ],
    );
    await keepHistory(handle, 'incident-resolved-by-person');
  });

  it('a comment is accepted even if the workflow has ended', async () => {
    const { id, handle } = await opened();
    await handle.executeUpdate(commentIncident, { args: [{ actor: 'ada', text: 'looking' }] });
    await handle.executeUpdate(resolveIncident, { args: [{ actor: 'ada' }] });
    await handle.result();
    const startWorkflowOperation = new WithStartWorkflowOperation<typeof incident>('incident', {
      workflowId: incidentWorkflowId(id),
      taskQueue: QUEUES.incidents,
      args: [{ incident_id: id }],
      workflowIdConflictPolicy: 'USE_EXISTING',
    });
    await there.client.workflow.executeUpdateWithStart(commentIncident, {
      startWorkflowOperation,
      args: [{ actor: 'bob', text: 'it was the fan' }],
    });
    await (await startWorkflowOperation.workflowHandle()).result();
    const comments = (await there.timeline(id)).filter(({ kind }) => kind === 'comment');
    assert.deepEqual(
      comments.map(({ actor, detail }) => `${actor}: ${detail.text}`),
      ['ada: looking', 'bob: it was the fan'],
    );
  });

  it('a request for an unknown incident is refused, and its workflow ends', async () => {
    const startWorkflowOperation = new WithStartWorkflowOperation<typeof incident>('incident', {
      workflowId: incidentWorkflowId(randomUUID()),
      taskQueue: QUEUES.incidents,
      args: [{ incident_id: randomUUID() }],
      workflowIdConflictPolicy: 'USE_EXISTING',
    });
    const update = there.client.workflow.executeUpdateWithStart(acknowledgeIncident, {
      startWorkflowOperation,
      args: [{ actor: 'ada' }],
    });
    assert.deepEqual(await refusal(update), ['gone', 'there is no such incident']);
    await (await startWorkflowOperation.workflowHandle()).result();
  });

  it('a text that PostgreSQL cannot store is refused', async () => {
    const { handle } = await opened();
    const update = handle.executeUpdate(commentIncident, { args: [{ actor: 'ada', text: 'a\u0000b' }] });
    assert.deepEqual(await refusal(update), ['refused', 'PostgreSQL cannot store this text']);
  });

  it('state, rule and severity are visible in the Temporal Web UI', async () => {
    const { id, handle } = await opened({ severity: 'high' });
    await handle.executeUpdate(acknowledgeIncident, { args: [{ actor: 'ada' }] });
    const { ruleId } = await there.incident(id);
    const seen = await waitFor(
      async () => {
        const { typedSearchAttributes } = await handle.describe();
        const all = typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]);
        const found = Object.fromEntries(all);
        return found.IncidentState === 'acknowledged' && found;
      },
      { what: 'the search attributes' },
    );
    assert.deepEqual([seen.RuleId, seen.Severity], [ruleId, 'high']);
    const details = await handle.query<string>('__temporal_workflow_metadata').catch(() => null);
    assert.match(JSON.stringify(details), /acknowledged by `ada`/);
  });
});
