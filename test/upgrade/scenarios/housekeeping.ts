import { createRule } from '../../../db/queries/rules/changes.ts';
import { signalRule } from '../../../temporal-config/signals/rules.ts';
import { HOUSEKEEPING_WORKFLOW_ID, ruleWorkflowId } from '../../../workflows/ids.ts';
import { HOUSEKEEPING } from '../../../workflows/startable.ts';
import { aRule } from '../../support/engine.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Scenario } from '../scenario.ts';

let rule = '';

export const housekeeping: Scenario = {
  name: 'housekeeping between two rounds, and a workflow that was terminated meanwhile',
  async begin(there) {
    const { type, ...options } = HOUSEKEEPING;
    await there.client.workflow.start(type, options);
    rule = (
      await createRule(there.orm, aRule({ name: 'kept', definition: { event_type: 'kept' } }), Date.now())
    ).id;
    await signalRule(there, rule);
    const handle = there.client.workflow.getHandle(HOUSEKEEPING_WORKFLOW_ID);
    await waitFor(
      async () => {
        const { events } = await handle.fetchHistory();
        return events?.some(({ timerStartedEventAttributes }) => timerStartedEventAttributes);
      },
      { what: 'the end of its first round' },
    );
  },
  async between(there) {
    await there.client.workflow.getHandle(ruleWorkflowId(rule)).terminate('in the Web UI');
  },
  async goesOn(there) {
    await there.client.workflow.getHandle(HOUSEKEEPING_WORKFLOW_ID).signal('tidyNow');
    const handle = there.client.workflow.getHandle(ruleWorkflowId(rule));
    await waitFor(async () => (await handle.describe()).status.name === 'RUNNING', { what: 'its return' });
  },
};
