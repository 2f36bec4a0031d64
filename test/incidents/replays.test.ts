import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '@temporalio/worker';
import type { IncidentView } from '../../activities/incidents/index.ts';
import type { Attempted } from '../../domain/incidents/notice.ts';
import type { incident } from '../../workflows/incidents/incident.ts';
import { incidentChanged } from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { workflowsOf } from '../support/releases.ts';
import { openStage } from '../support/stage/stage.ts';
import { connectTemporal } from '../support/stage/temporal.ts';

const CHANNELS = ['chat', 'mail', 'pager', 'phone', 'wall'];
/** Enough that local activities overlap in nearly every run: before they took turns, one in five failed. */
const INCIDENTS = 20;
const SIGNALS = 14;

/** Answers after a moment, as PostgreSQL and receivers do. */
const soon = (ms: number) => sleep(Math.random() * ms);

/** Activities without a database: an incident gets another notice at each look, and is then resolved. */
function activities() {
  const looks = new Map<string, number>();
  const at = Date.now();
  return {
    async loadIncident({ incident_id }: { incident_id: string }): Promise<IncidentView> {
      await soon(6);
      const look = (looks.get(incident_id) ?? 0) + 1;
      looks.set(incident_id, look);
      const outline = {
        ...{ rule_id: 'rule', rule_name: 'Rule', severity: 'high', summary: 'Too many' },
        ...({ state: look > 8 ? 'resolved' : 'open', since: '', opened_at: '' } as const),
        ...{ acknowledged_by: null, resolved_at: null, resolved_by: null, resolve_reason: null },
      };
      const notices = Array.from({ length: Math.min(look, 6) }, (_, i) => ({
        ...{ id: `notice-${i}`, kind: 'opened' as const, at: at + i, progress: [] },
      }));
      return { outline, notices, channels: CHANNELS, schedule_ms: [5, 5] };
    },
    async deliver(): Promise<Attempted> {
      await soon(20);
      return { outcome: Math.random() < 0.3 ? 'retry' : 'sent', detail: '' };
    },
    settleDelivery: () => soon(6),
    finishNotice: () => soon(6),
  };
}

describe('the history of an incident with many channels, notices and signals', () => {
  it('replays, although attempts end while the workflow reads its rows', async () => {
    const there = await openStage((closing) => connectTemporal(closing));
    const workflowBundle = await workflowsOf('today');
    const shared = {
      connection: there.nativeConnection,
      namespace: there.namespace,
      activities: activities(),
    };
    const workers = await Promise.all([
      Worker.create({ ...shared, taskQueue: QUEUES.incidents, workflowBundle }),
      Worker.create({ ...shared, taskQueue: QUEUES.notify }),
    ]);
    const running = workers.map((worker) => worker.run());
    const follow = async (incident_id: string) => {
      const handle = await there.client.workflow.start<typeof incident>('incident', {
        ...{ taskQueue: QUEUES.incidents, workflowId: incident_id, args: [{ incident_id }] },
      });
      const over = handle.result();
      for (let sent = 0; sent < SIGNALS; sent++) {
        await soon(25);
        await handle.signal(incidentChanged);
      }
      // Signals that come together count as one, so a few more may be needed until it is resolved.
      const ended = over.then(() => true);
      while (!(await Promise.race([ended, sleep(100, false)])))
        await handle.signal(incidentChanged).catch(() => {});
      return { workflowId: incident_id, history: await handle.fetchHistory() };
    };
    const histories = await Promise.all(Array.from({ length: INCIDENTS }, (_, i) => follow(`incident-${i}`)));
    for (const worker of workers) worker.shutdown();
    await Promise.all(running);
    const failures: string[] = [];
    for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories)) {
      if (error) failures.push(`${workflowId}: ${error.message}`);
    }
    assert.deepEqual(failures, []);
    await there.close();
  });
});
