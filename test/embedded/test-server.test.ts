import assert from 'node:assert/strict';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { timeSkippingServer } from '../../embedded/temporal/test-server.ts';

describe('time-skipping test server', () => {
  it('skips two days at once', async function () {
    // The first run on a machine downloads the server.
    this.timeout(20 * 60_000);
    const environment = await TestWorkflowEnvironment.createTimeSkipping(await timeSkippingServer());
    try {
      const before = await environment.currentTimeMs();
      await environment.sleep('2 days');
      assert.ok((await environment.currentTimeMs()) - before >= 2 * 86_400_000);
    } finally {
      await environment.teardown();
    }
  });
});
