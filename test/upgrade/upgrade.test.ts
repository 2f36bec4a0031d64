import assert from 'node:assert/strict';
import type { WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { lastRelease, workflowsOf } from '../support/releases.ts';
import { failedTasks } from './runs.ts';
import type { Scenario } from './scenario.ts';
import { deadLetter } from './scenarios/dead-letter.ts';
import { housekeeping } from './scenarios/housekeeping.ts';
import { incident } from './scenarios/incident.ts';
import { producer } from './scenarios/producer.ts';
import { alertRule } from './scenarios/rule.ts';
import { type Stage, stage } from './stage.ts';

/** A new kind of workflow gets a scenario here after its first release. */
const scenarios: Scenario[] = [producer, deadLetter, alertRule, incident, housekeeping];

describe(`an upgrade from ${lastRelease} with everything running`, () => {
  let there: Stage;
  before(async function () {
    this.timeout(120_000);
    there = await stage();
    await there.runWorkersOf(lastRelease);
    await Promise.all(scenarios.map(({ begin }) => begin(there)));
    await there.stopWorkers();
    for (const { between } of scenarios) await between?.(there);
    await there.runWorkersOf('today');
  });
  after(() => there?.close());

  for (const { name, goesOn } of scenarios) {
    it(`continues with ${name}`, () => goesOn(there));
  }

  it('has not failed a single workflow task', async () => {
    const failed: string[] = [];
    for await (const { workflowId, runId } of there.client.workflow.list()) {
      const messages = await failedTasks(there.client.workflow.getHandle(workflowId, runId));
      failed.push(...messages.map((message) => `${workflowId}: ${message}`));
    }
    assert.deepEqual(failed, []);
  });

  it('leaves histories that replay from their beginning', async () => {
    const histories: { workflowId: string; history: Awaited<ReturnType<WorkflowHandle['fetchHistory']>> }[] =
      [];
    for await (const { workflowId, runId } of there.client.workflow.list()) {
      const history = await there.client.workflow.getHandle(workflowId, runId).fetchHistory();
      histories.push({ workflowId, history });
    }
    const failures: string[] = [];
    const options = { workflowBundle: await workflowsOf('today') };
    for await (const { workflowId, error } of Worker.runReplayHistories(options, histories)) {
      if (error) failures.push(`${workflowId}: ${error.message}`);
    }
    assert.deepEqual(failures, []);
    // The rule workflow has one patch. A run that began without it has it after its first evaluation.
    const wentOver = histories.filter(({ workflowId, history }) => {
      const markers = history.events!.map((event) => event.markerRecordedEventAttributes?.markerName);
      const [patch, first] = [markers.indexOf('core_patch'), markers.indexOf('core_local_activity')];
      return workflowId.startsWith('rule/') && first !== -1 && patch > first;
    });
    assert.ok(wentOver.length > 0, 'no rule of the last release went over to what is new');
  });
});
