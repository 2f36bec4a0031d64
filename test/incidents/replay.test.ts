import assert from 'node:assert/strict';
import { Worker } from '@temporalio/worker';
import { keptHistories } from '../support/histories.ts';
import { incidentBundle } from './stage.ts';

/** Runs that began under earlier code go on under today's: whoever breaks this needs patched(). */
describe('incident workflows of the past', () => {
  it('replay under the code of today', async () => {
    const histories = keptHistories('incident-');
    assert.ok(histories.length >= 6, 'there are histories');
    const workflowBundle = await incidentBundle();
    const failures: string[] = [];
    for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories)) {
      if (error) failures.push(`${workflowId}: ${error.message}`);
    }
    assert.deepEqual(failures, []);
  });
});
