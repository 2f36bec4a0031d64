import assert from 'node:assert/strict';
import type { Client } from '@temporalio/client';
import { insertDeadLetters } from '../../../db/queries/dead-letters/writes.ts';
import { producerWorkflowId } from '../../../workflows/ids.ts';
import { stopProducer } from '../../../workflows/messages.ts';
import { producerWorkflow } from '../../../workflows/startable.ts';
import { waitFor } from '../../support/wait-for.ts';
import { stage } from '../stage.ts';

/**
 * A housekeeping that interferes: it starts a producer again after it was stopped, or, for a sample, after it
 * was seen to end.
 */
function eager(client: Client): Client {
  const started = new Set<string>();
  const startAgain = async (workflowId: string) => {
    if (started.has(workflowId)) return;
    started.add(workflowId);
    await client.workflow.getHandle(workflowId).result();
    const settings = { ...SIMULATED, kind: 'simulated', seed: 1, severities: ['a'], event_types: ['b'] };
    const source_id = workflowId.slice(producerWorkflowId('').length);
    const { type, ...options } = producerWorkflow({ source_id, settings: settings as never });
    await client.workflow.start(type, options);
  };
  const getHandle: Client['workflow']['getHandle'] = (workflowId, ...rest) => {
    const handle = client.workflow.getHandle(workflowId, ...rest);
    const sample = workflowId.includes('sample');
    const executeUpdate = handle.executeUpdate.bind(handle) as (...args: unknown[]) => Promise<unknown>;
    const result = handle.result.bind(handle);
    return Object.assign(handle, {
      async executeUpdate(update: unknown, ...args: unknown[]) {
        const answer = await executeUpdate(update, ...args);
        if (update === stopProducer && !sample) await startAgain(workflowId);
        return answer;
      },
      async result() {
        const ended = await result();
        if (sample) await startAgain(workflowId);
        return ended;
      },
    });
  };
  const workflow = Object.assign(Object.create(client.workflow), { getHandle });
  return Object.create(client, { workflow: { value: workflow } });
}

const SIMULATED = { rate_per_second: 50, tick_ms: 100 };

describe('removing a sample producer while housekeeping restarts it', () => {
  it('leaves no producer running and no event of a sample', async () => {
    const api = await stage({ temporal: 'working', change: ({ client }) => ({ client: eager(client) }) });
    try {
      for (const [id, sample] of [
        ['sample-1', true],
        ['real-1', false],
      ]) {
        await api.post('/producers', { id, kind: 'simulated', settings: SIMULATED, sample });
        await waitFor(async () => (await api.get(`/events/source/${id}`)).body.length > 0, {
          what: `events of ${id}`,
        });
      }
      assert.equal((await api.delete('/samples')).status, 200);
      assert.equal((await api.delete('/producers/real-1')).status, 204);
      for (const id of ['sample-1', 'real-1']) {
        await api.client.workflow.getHandle(producerWorkflowId(id)).result();
      }
      assert.deepEqual((await api.get('/events/source/sample-1')).body, []);
    } finally {
      await api.close();
    }
  });
});

describe('DELETE /samples', () => {
  it('removes sample producers and rules with everything they stored, and nothing else', async () => {
    const api = await stage({ temporal: 'working' });
    try {
      const settings = { rate_per_second: 50, tick_ms: 100 };
      await api.post('/producers', { id: 'sample-1', kind: 'simulated', settings, sample: true });
      await api.post('/producers', { id: 'real-1', kind: 'simulated', settings });
      const rule = { threshold_count: 1_000_000, window_seconds: 60 };
      await api.post('/alerts', { name: 'A sample', ...rule, sample: true });
      await api.post('/alerts', { name: 'A rule of ours', ...rule });
      for (const id of ['sample-1', 'real-1']) {
        await waitFor(async () => (await api.get(`/events/source/${id}`)).body.length > 0, {
          what: `events of ${id}`,
        });
      }
      const now = Date.now();
      await insertDeadLetters(
        api.orm,
        ['sample-1', 'real-1'].map((source_id) => ({
          ...{
            id: crypto.randomUUID(),
            source_id,
            kind: 'batch' as const,
            failure: 'refused',
            reason: 'by the test',
          },
          ...{ field: null, content: {}, event_count: 1, created_at: now },
          unheard: { from_at: now - 1000, to_at: now },
        })),
      );
      const { status, body } = await api.delete('/samples');
      assert.equal(status, 200);
      assert.deepEqual([body.rules, body.producers, body.incidents, body.dead_letters], [1, 1, 0, 1]);
      assert.deepEqual(
        (await api.get('/status')).body.deaf_spans.map(({ name }: { name: string }) => name),
        ['real-1'],
      );
      assert.ok(body.events > 0);
      assert.deepEqual((await api.get('/events/source/sample-1')).body, []);
      assert.ok((await api.get('/events/source/real-1')).body.length > 0);
      assert.deepEqual(
        (await api.get('/producers')).body.map(({ id }: { id: string }) => id),
        ['real-1'],
      );
      assert.deepEqual(
        (await api.get('/alerts')).body.map(({ name }: { name: string }) => name),
        ['A rule of ours', 'Events by PagerDuty’s API', 'Alerts from Alertmanager clients'],
      );
      const again = await api.delete('/samples');
      assert.deepEqual(Object.values(again.body), [0, 0, 0, 0, 0]);
      assert.equal((await api.delete('/producers/real-1')).status, 204);
    } finally {
      await api.close();
    }
  });
});
