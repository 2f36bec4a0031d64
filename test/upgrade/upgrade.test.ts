import assert from 'node:assert/strict';
import { lastRelease } from '../support/releases.ts';
import { deadLetter } from './scenarios/dead-letter.ts';
import { housekeeping } from './scenarios/housekeeping.ts';
import { incident } from './scenarios/incident.ts';
import { producer } from './scenarios/producer.ts';
import { alertRule } from './scenarios/rule.ts';
import { failedTasks, type Scenario, type Stage, stage } from './stage.ts';

/** A new kind of workflow gets a scenario here as soon as one release has had it. */
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
    it(`goes on with ${name}`, () => goesOn(there));
  }

  it('has not failed a single workflow task', async () => {
    const failed: string[] = [];
    for await (const { workflowId, runId } of there.client.workflow.list()) {
      const messages = await failedTasks(there.client.workflow.getHandle(workflowId, runId));
      failed.push(...messages.map((message) => `${workflowId}: ${message}`));
    }
    assert.deepEqual(failed, []);
  });
});
