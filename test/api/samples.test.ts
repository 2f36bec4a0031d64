import assert from 'node:assert/strict';
import { waitFor } from '../support/wait-for.ts';
import { stage } from './stage.ts';

describe('DELETE /samples', () => {
  it('removes sample producers and rules with all they stored, and nothing else', async () => {
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
      const { status, body } = await api.delete('/samples');
      assert.equal(status, 200);
      assert.deepEqual([body.rules, body.producers, body.incidents, body.dead_letters], [1, 1, 0, 0]);
      assert.ok(body.events > 0);
      assert.deepEqual((await api.get('/events/source/sample-1')).body, []);
      assert.ok((await api.get('/events/source/real-1')).body.length > 0);
      assert.deepEqual(
        (await api.get('/producers')).body.map(({ id }: { id: string }) => id),
        ['real-1'],
      );
      assert.deepEqual(
        (await api.get('/alerts')).body.map(({ name }: { name: string }) => name),
        ['A rule of ours'],
      );
      const again = await api.delete('/samples');
      assert.deepEqual(Object.values(again.body), [0, 0, 0, 0, 0]);
      assert.equal((await api.delete('/producers/real-1')).status, 204);
    } finally {
      await api.close();
    }
  });
});
