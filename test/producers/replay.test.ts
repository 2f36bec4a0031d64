import assert from 'node:assert/strict';
import { Worker } from '@temporalio/worker';
import { keptHistories } from '../support/histories.ts';
import { producerBundle } from './stage.ts';

describe('histories of producers and dead letters', () => {
  it('replay with the code as it is now', async () => {
    const kept = keptHistories('producer-', 'dead-letter-');
    assert.ok(kept.length >= 5);
    const replayed: string[] = [];
    const options = { workflowBundle: await producerBundle() };
    for await (const { workflowId, error } of Worker.runReplayHistories(options, kept)) {
      assert.equal(error, undefined, `${workflowId}: ${error?.message}`);
      replayed.push(workflowId);
    }
    assert.deepEqual(
      replayed.sort(),
      kept.map(({ workflowId }) => workflowId),
    );
  });
});
