import assert from 'node:assert/strict';
import { DeliveryEntity, IncidentEntity, NoticeEntity } from '../../../db/entities/incident.ts';
import { transaction } from '../../../db/orm.ts';
import { incidentWorkflowId } from '../../../workflows/ids.ts';
import { acknowledgeIncident, resolveIncident } from '../../../workflows/messages.ts';
import { incidentRow } from '../../incidents/record.ts';
import { signal } from '../../incidents/signal.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

const row = incidentRow();

const attempts = ({ orm }: Stage) =>
  orm.em.fork().find(DeliveryEntity, {}, { orderBy: { at: 'asc', attempt: 'asc' } });

export const incident: Scenario = {
  name: 'an incident whose notice failed and waits for its next attempt',
  async begin(there) {
    const { id } = row;
    await transaction(there.orm, async (_db, em) => {
      em.create(IncidentEntity, row);
      em.create(NoticeEntity, { id: crypto.randomUUID(), incidentId: id, kind: 'opened', at: new Date() });
    });
    await signal(there.client, id);
    await waitFor(async () => (await attempts(there))[0]?.detail.includes('503'), {
      what: 'a failed attempt',
    });
  },
  async between(there) {
    there.channelAnswers(200);
    await signal(there.client, row.id);
  },
  async goesOn(there) {
    const handle = there.client.workflow.getHandle(incidentWorkflowId(row.id));
    await handle.executeUpdate(acknowledgeIncident, { args: [{ actor: 'ada' }] });
    await waitFor(async () => (await attempts(there)).some(({ outcome }) => outcome === 'sent'), {
      what: 'its next attempt',
    });
    await handle.executeUpdate(resolveIncident, { args: [{ actor: 'ada' }] });
    await handle.result();
    const { state, acknowledgedBy } = await there.orm.em.fork().findOneOrFail(IncidentEntity, row.id);
    assert.deepEqual([state, acknowledgedBy], ['resolved', 'ada']);
  },
};
