import assert from 'node:assert/strict';
import { type Incident, IncidentEntity } from '../../../db/entities/incident.ts';
import { createRule, deleteRule, updateRule } from '../../../db/queries/rules/changes.ts';
import { ruleProgress } from '../../../db/queries/rules/reads.ts';
import { signalRule } from '../../../temporal-config/signals/rules.ts';
import { ruleWorkflowId } from '../../../workflows/ids.ts';
import { ruleState } from '../../../workflows/messages.ts';
import { anEvent, aRule } from '../../support/engine.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

const event_type = 'tick-upgraded';
let rule = '';

const input = (threshold: number) =>
  aRule({ threshold, window: 600, definition: { event_type, group_by: ['payload.host'] } });
const incidents = ({ orm }: Stage): Promise<Incident[]> =>
  orm.em.fork().find(IncidentEntity, { ruleId: rule }, { orderBy: { groupKey: 'asc' } });
const ticks = (host: string) =>
  Array.from({ length: 3 }, (_, i) =>
    anEvent({ event_type, payload: { host }, occurred_at: Date.now() - 100 * i }),
  );

export const alertRule: Scenario = {
  name: 'a rule with an open incident, events that come in between, and signals for them',
  async begin(there) {
    rule = (await createRule(there.orm, input(3), Date.now())).id;
    await signalRule(there, rule);
    const handle = there.client.workflow.getHandle(ruleWorkflowId(rule));
    await waitFor(async () => (await handle.query(ruleState)).evaluations > 0, { what: 'it to be ready' });
    await there.ingest.accept(ticks('a'));
    await waitFor(async () => (await incidents(there)).length === 1, { what: 'its incident' });
  },
  async between(there) {
    await there.ingest.accept(ticks('b'));
  },
  async goesOn(there) {
    const handle = there.client.workflow.getHandle(ruleWorkflowId(rule));
    await waitFor(async () => (await incidents(there)).length === 2, { what: 'the incident of in between' });
    await there.ingest.accept(ticks('c'));
    await waitFor(async () => (await incidents(there)).length === 3, { what: 'a new incident' });
    // The counts of the last release are enough for another threshold.
    const { definition } = input(2);
    await updateRule(there.orm, rule, () => ({ definition }), Date.now());
    const progress = await ruleProgress(there.orm, [rule]);
    assert.equal(progress.get(rule)?.ready, true);
    await there.ingest.accept(ticks('d').slice(1));
    await waitFor(async () => (await incidents(there)).length === 4, { what: 'one by the new threshold' });
    await deleteRule(there.orm, rule, Date.now());
    await signalRule(there, rule);
    await handle.result();
    assert.deepEqual(
      (await incidents(there)).map(({ state }) => state),
      ['resolved', 'resolved', 'resolved', 'resolved'],
    );
  },
};
