import assert from 'node:assert/strict';
import { drainMs } from '../../embedded/processes/role.ts';
import type { Ingest } from '../../ingest/outcome.ts';
import { compose } from '../support/compose-file.ts';
import { allWorkers } from '../support/stage/all-workers.ts';
import { bundleOf } from '../support/stage/bundles.ts';
import { openDatabase } from '../support/stage/database.ts';
import { openStage } from '../support/stage/stage.ts';
import { connectTemporal } from '../support/stage/temporal.ts';
import { workerContext } from '../support/stage/workers.ts';
import { receiver } from './channels/receiver.ts';
import { recordIn } from './record.ts';
import { signal } from './signal.ts';

describe('the workers', () => {
  it('start from configuration alone, deliver a notice, and end before they would be killed', async () => {
    const hook = await receiver();
    const there = await openStage(async (closing) => {
      const database = await openDatabase(closing);
      const temporal = await connectTemporal(closing);
      const workflowBundle = await bundleOf('workflows/incidents/incident.ts');
      const settings = {
        PUBLIC_URL: 'http://tocsin.test',
        CHANNELS: JSON.stringify([{ kind: 'webhook', name: 'ops', url: hook.url }]),
      };
      const context = workerContext({ database, temporal, workflowBundle, settings });
      return { ...recordIn(database.orm), context };
    });
    const { context } = there;
    // No producer runs here, so nothing is stored through this ingest.
    const workers = await allWorkers(context, {} as Ingest);
    const running = workers.map((worker) => worker.run());
    try {
      const graceMs = Number.parseInt(compose.services['worker-ingest']!.stop_grace_period!, 10) * 1000;
      for (const { options } of workers) {
        const { taskQueue, shutdownGraceTimeMs: grace, shutdownForceTimeMs: force = Infinity } = options;
        assert.ok(grace < force && force < drainMs && force < graceMs, `${taskQueue}: ${grace}, ${force} ms`);
      }
      const id = await there.open();
      await signal(context.client, id);
      await there.allDone(id, 1);
      assert.equal(JSON.parse(hook.received[0]!.body).links.incident, `http://tocsin.test/incidents/${id}`);
    } finally {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await there.close();
      await hook.close();
    }
  });
});
