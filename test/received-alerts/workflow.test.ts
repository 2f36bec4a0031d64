import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { IncidentEntity } from '../../db/entities/incident.ts';
import { sqlOf } from '../../db/orm.ts';
import { RECEIVING_RULES } from '../../domain/received-alerts/protocols.ts';
import { type AlertReceiver, createAlertReceiver } from '../../ingest/alerts/receive.ts';
import { recordAlerts } from '../../ingest/alerts/record.ts';
import { incidentWorkflowId } from '../../workflows/ids.ts';
import { ruleState } from '../../workflows/messages.ts';
import { type Stage, stage } from '../rules/stage.ts';
import { firing, paged, resolved } from '../support/alerts.ts';
import { keepHistory } from '../support/histories.ts';
import { silent } from '../support/stage/log.ts';
import { waitFor } from '../support/wait-for.ts';

const { alertmanager, pagerduty } = RECEIVING_RULES;

describe('the workflow of a rule for received alerts', () => {
  let there: Stage;
  let receiver: AlertReceiver;
  beforeEach(async () => {
    there = await stage();
    const { orm, ingest, client } = there;
    receiver = createAlertReceiver({ orm, ingest, client, clock: Date.now, log: silent });
  });
  afterEach(async () => {
    await receiver.stop();
    await there.close();
  });

  const incidents = () => there.orm.em.fork().find(IncidentEntity, {}, { orderBy: { openedAt: 'asc' } });

  it('opens one incident for fifty messages at once, is not woken by refreshes, and resolves it', async () => {
    await there.startWorker();
    there.startSweep();
    const start = Date.now();
    await Promise.all(Array.from({ length: 50 }, () => receiver.receive([firing(start)], 'ada')));
    const open = await there.incident(alertmanager, 'open');
    assert.equal(open.openedAt.getTime(), start);
    // The row exists before the workflow.
    await waitFor(() => there.client.workflow.getHandle(incidentWorkflowId(open.id)).describe(), {
      what: 'the workflow of the incident',
    });
    await waitFor(async () => (await there.workflow(alertmanager).query(ruleState)).firing === 1, {
      what: 'the rule to be at rest',
    });
    await waitFor(
      async () => {
        const { rows } = await sql`select from pending_evaluations`.execute(sqlOf(there.orm));
        return rows.length === 0;
      },
      { what: 'nothing to be pending' },
    );
    const signals = async () => {
      const { events } = await there.workflow(alertmanager).fetchHistory();
      return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes).length;
    };
    const before = await signals();
    for (let i = 1; i <= 20; i++) {
      await receiver.receive(
        [firing(start, { ends_at: start + 240_000 + i, summary: `${i} % full` })],
        'ada',
      );
    }
    assert.equal(await signals(), before);
    assert.equal((await incidents())[0]?.summary, '20 % full');
    const end = Date.now();
    await receiver.receive([resolved(start, end)], 'ada');
    const over = await there.incident(alertmanager, 'resolved');
    assert.equal(over.id, open.id);
    assert.equal(over.endedAt?.getTime(), end);
    await waitFor(async () => (await there.workflow(alertmanager).query(ruleState)).firing === 0, {
      what: 'all quiet',
    });
    await keepHistory(there.workflow(alertmanager), 'alert-rule-received');
    assert.equal((await incidents()).length, 1);
  });

  it('ends an alert that is not repeated at its time-out', async () => {
    await there.startWorker();
    there.startSweep();
    const start = Date.now();
    const ends_at = start + 1500;
    await receiver.receive([firing(start, { ends_at, ends_explicit: false })], 'ada');
    const over = await there.incident(alertmanager, 'resolved');
    assert.deepEqual([over.openedAt.getTime(), over.endedAt?.getTime()], [start, ends_at]);
  });

  it('opens and acknowledges incidents for messages that came while no worker ran, at their times', async () => {
    const start = Date.now();
    await receiver.receive([paged('trigger', start - 5000)], 'ada');
    await receiver.receive([paged('acknowledge', start)], 'ada');
    await there.startWorker();
    const incident = await there.incident(pagerduty, 'acknowledged');
    assert.equal(incident.openedAt.getTime(), start - 5000);
    assert.equal(incident.acknowledgedBy, 'ada');
  });

  it('is woken by the sweep after a crash between the commit and the signal', async () => {
    await there.startWorker();
    const { wake } = await recordAlerts(there.orm, [firing(Date.now())], 'ada', Date.now());
    assert.deepEqual(wake, [alertmanager], 'and nobody signals it');
    await sql`update pending_evaluations set signalled_at = now() - interval '1 minute'`.execute(
      sqlOf(there.orm),
    );
    there.startSweep();
    await there.incident(alertmanager, 'open');
  });
});
