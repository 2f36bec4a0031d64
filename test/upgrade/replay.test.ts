import assert from 'node:assert/strict';
import { Worker } from '@temporalio/worker';
import { keptHistories } from '../support/histories.ts';
import { releases, workflowsOf } from '../support/releases.ts';

/**
 * Runs that began under earlier code must continue under the current code. If your change breaks this test,
 * it needs patched(): see docs/upgrading.md.
 */
describe('recorded histories of every release', () => {
  const histories = keptHistories();

  for (const release of releases) {
    it(`include each workflow of ${release}, through the limit of its run`, () => {
      for (const type of ['alert-rule', 'producer', 'housekeeping', 'incident', 'dead-letter']) {
        const through = histories.filter(
          ({ workflowId, history }) =>
            workflowId.startsWith(`${release}/full-${type}`) &&
            history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes,
        );
        assert.ok(through.length > 0, `${type} has no history that continued as new`);
      }
    });
  }

  it('replay under the current code', async () => {
    const options = { workflowBundle: await workflowsOf('today') };
    const replayed: string[] = [];
    const failures: string[] = [];
    for await (const { workflowId, error } of Worker.runReplayHistories(options, histories)) {
      if (error) failures.push(`${workflowId}: ${error.message}`);
      replayed.push(workflowId);
    }
    assert.deepEqual(failures, []);
    assert.equal(replayed.length, histories.length);
  });
});
