import assert from 'node:assert/strict';
import { updateWithStart } from '../../../api/temporal.ts';
import { IncidentEntity } from '../../../db/entities/incident.ts';
import { ProducerEntity } from '../../../db/entities/producer.ts';
import { createRule, updateRule } from '../../../db/queries/rules/changes.ts';
import type { ProducerSettings } from '../../../domain/producers/producer.ts';
import { signalRule } from '../../../temporal-config/signals/rules.ts';
import {
  HOUSEKEEPING_WORKFLOW_ID,
  incidentWorkflowId,
  producerWorkflowId,
  ruleWorkflowId,
} from '../../../workflows/ids.ts';
import {
  acknowledgeIncident,
  addDeadLetter,
  configureProducer,
  pauseProducer,
  resolveIncident,
  ruleState,
} from '../../../workflows/messages.ts';
import { deadLetterWorkflow, HOUSEKEEPING, producerWorkflow } from '../../../workflows/startable.ts';
import { simulated } from '../../producers/settings.ts';
import { anEvent, aRule } from '../../support/engine.ts';
import { waitFor } from '../../support/wait-for.ts';
import { failedTasks } from '../../upgrade/runs.ts';
import { type Stage, stage } from '../../upgrade/stage.ts';
import { changes, listed, seen, told } from './shown.ts';

const API = 'https://tocsin.test/base';

describe('the Temporal Web UI', () => {
  let there: Stage;
  before(async function () {
    this.timeout(120_000);
    there = await stage();
    await there.runWorkersOf('today');
  });
  after(() => there?.close());

  const handleOf = (id: string) => there.client.workflow.getHandle(id);

  async function rule(input: Parameters<typeof aRule>[0]): Promise<string> {
    const { id } = await createRule(there.orm, aRule(input), Date.now());
    await signalRule(there, id);
    await waitFor(async () => (await handleOf(ruleWorkflowId(id)).query(ruleState)).evaluations > 0, {
      what: 'the rule to be judged',
    });
    return id;
  }

  async function producing(id: string, settings: ProducerSettings) {
    const now = new Date();
    const row = { id, settings, paused: false, createdAt: now, updatedAt: now };
    await there.orm.em.fork().upsert(ProducerEntity, row);
    await updateWithStart(there.client, producerWorkflow({ source_id: id, settings }), configureProducer, [
      { settings },
    ]);
    return handleOf(producerWorkflowId(id));
  }

  it('shows a rule from its start, and after it was renamed, fired and was disabled', async () => {
    const event_type = 'shown';
    const id = await rule({
      name: 'High CPU',
      incident_severity: 'critical',
      definition: { event_type },
      window: 600,
    });
    const handle = handleOf(ruleWorkflowId(id));
    assert.deepEqual(await seen(handle), {
      memo: { rule: 'High CPU', severity: 'critical', state: 'quiet', api: `${API}/alerts/${id}` },
      attributes: { RuleId: id, RuleName: 'High CPU', Severity: 'critical', State: 'quiet' },
      summary: 'Rule `High CPU`, `critical`',
      details: `Judges the windows of the rule, and opens and resolves its incidents.\n\n[Open in the API](<${API}/alerts/${id}>)`,
    });
    assert.equal(await changes(handle), 0, 'the starter said it all');

    const rename = (change: object) =>
      updateRule(there.orm, id, (old) => ({ ...old, ...change }), Date.now());
    await rename({ name: 'Higher CPU', incident_severity: null });
    await signalRule(there, id);
    assert.deepEqual(await listed(there.client, `RuleName = 'Higher CPU'`), [handle.workflowId]);
    const renamed = await seen(handle);
    assert.equal(renamed.memo.rule, 'Higher CPU');
    assert.equal(renamed.attributes.Severity, undefined);
    assert.equal(await changes(handle), 2);

    await there.ingest.accept(
      [1, 2, 3].map((i) => anEvent({ event_type, severity: 'high', occurred_at: Date.now() - i })),
    );
    const firing = `RuleName = 'Higher CPU' AND WorkflowType = 'alertRule' AND State = 'firing'`;
    assert.deepEqual(await listed(there.client, firing), [handle.workflowId]);
    const details = await told(handle);
    assert.match(details, /^\*\*Rule `Higher CPU`\*\*\n\n\*\*Firing\*\*: 1 group firing, 0 pending/);
    assert.match(details, /Fires when: at least 3 matching events of type `shown` within 600 s/);
    assert.ok(details.endsWith(`[Open in the API](<${API}/alerts/${id}>)`));

    const incident = await waitFor(() => there.orm.em.fork().findOne(IncidentEntity, { ruleId: id }), {
      what: 'its incident',
    });
    assert.deepEqual(
      await listed(
        there.client,
        `RuleName = 'Higher CPU' AND WorkflowType = 'incident' AND Severity = 'high'`,
      ),
      [incidentWorkflowId(incident.id)],
    );
    await rename({ enabled: false });
    await signalRule(there, id);
    assert.deepEqual(await listed(there.client, `RuleId = '${id}' AND State = 'disabled'`), [
      handle.workflowId,
    ]);
    assert.deepEqual(await failedTasks(handle), []);
  });

  it('adds nothing to the history of a rule that is judged again without a change', async () => {
    const id = await rule({ name: 'steady' });
    const handle = handleOf(ruleWorkflowId(id));
    for (let judged = 2; judged < 6; judged += 1) {
      await signalRule(there, id);
      await waitFor(async () => (await handle.query(ruleState)).evaluations >= judged, {
        what: 'another judging',
      });
    }
    assert.equal(await changes(handle), 0);
  });

  it('shows an incident from its start, and what people did with it', async () => {
    const event_type = 'shown-incident';
    const id = await rule({
      name: 'Disk full',
      incident_severity: 'high',
      definition: { event_type },
      window: 600,
    });
    await there.ingest.accept([1, 2, 3].map((i) => anEvent({ event_type, occurred_at: Date.now() - i })));
    const incident = await waitFor(() => there.orm.em.fork().findOne(IncidentEntity, { ruleId: id }), {
      what: 'its incident',
    });
    const handle = handleOf(incidentWorkflowId(incident.id));
    const at = (state: string) => ({
      memo: {
        ...{ rule: 'Disk full', severity: 'high', state },
        summary: 'Rule Disk full triggered for shown-incident',
        api: `${API}/incidents/${incident.id}`,
      },
      attributes: {
        ...{ RuleId: id, RuleName: 'Disk full', Severity: 'high' },
        ...{ State: state, IncidentState: state },
      },
    });
    const first = await waitFor(() => seen(handle), { what: 'its workflow' });
    assert.equal(
      first.summary,
      'Incident of rule `Disk full`, `high`: `Rule Disk full triggered for shown-incident`',
    );
    assert.deepEqual({ memo: first.memo, attributes: first.attributes }, at('open'));
    await waitFor(
      async () => /Last delivery: notice "opened" through `ops`, attempt 1, retry/.test(await told(handle)),
      {
        what: 'its last delivery in the details',
      },
    );
    assert.match(await told(handle), /Waits until somebody acknowledges or resolves it, or the rule does/);

    await handle.executeUpdate(acknowledgeIncident, { args: [{ actor: '<b>ann</b> `x`' }] });
    await listed(there.client, `RuleName = 'Disk full' AND State = 'acknowledged'`);
    const { memo, attributes } = await seen(handle);
    assert.deepEqual({ memo, attributes }, at('acknowledged'));
    assert.equal(await changes(handle), 2);
    assert.match(await told(handle), /acknowledged by `<b>ann<\/b> 'x'`/);

    await handle.executeUpdate(resolveIncident, { args: [{ actor: 'ann' }] });
    await listed(there.client, `RuleName = 'Disk full' AND IncidentState = 'resolved'`);
    assert.equal(await changes(handle), 4);
    assert.deepEqual(await failedTasks(handle), []);
  });

  it('shows a producer, without the secrets of its URL, and that it is paused', async () => {
    const url = 'http://ann:s3cret@127.0.0.1:1/health?token=s3cret';
    const handle = await producing('checkout', {
      ...{ kind: 'http-check', url, interval_seconds: 3600, timeout_ms: 1000 },
      ...{ expected_status: [], certificate_days: 14 },
    });
    const first = await seen(handle);
    assert.equal(first.summary, 'Producer `checkout`, checks `http://***@127.0.0.1:1/health?***`');
    assert.deepEqual(first.memo, {
      ...{ source: 'checkout', state: 'running', checks: 'http://***@127.0.0.1:1/health?***' },
      api: `${API}/producers/checkout`,
    });
    assert.deepEqual(first.attributes, { SourceId: 'checkout', State: 'running' });
    await waitFor(async () => /Running\*\*: next tick at \d{4}-/.test(await told(handle)), {
      what: 'its tick',
    });
    assert.doesNotMatch(JSON.stringify([first, await told(handle)]), /s3cret/);
    assert.equal(await changes(handle), 0);
    await handle.executeUpdate(pauseProducer, { args: [{ actor: 'ann' }] });
    await listed(there.client, `SourceId = 'checkout' AND State = 'paused'`);
    assert.match(await told(handle), /Paused\*\*: waits until somebody resumes it/);
    assert.deepEqual(await failedTasks(handle), []);
  });

  it('shows the dead letters of a source, with the retry and the failure', async () => {
    const source_id = 'letters';
    const tick_at = Math.floor(Date.now() / 1000) * 1000 - 60_000;
    const batch = {
      ...{ source_id, first_sequence: 0, from_at: tick_at - 1000, tick_at, appended_through: tick_at - 1000 },
      settings: simulated({ tick_ms: 1000 }),
    };
    const reason = 'no <b>room</b> at postgres://u:s3cret@db.test/x';
    const held = { id: crypto.randomUUID(), batch, failure: 'transient', reason, failed_at: Date.now() };
    await updateWithStart(there.client, deadLetterWorkflow(source_id), addDeadLetter, [held]);
    const handle = handleOf(`dead-letter/${source_id}`);
    await listed(there.client, `SourceId = 'letters' AND State = 'retrying'`);
    const { memo, attributes, summary } = await seen(handle);
    assert.equal(summary, 'Dead letters of source `letters`');
    assert.deepEqual(memo, {
      ...{ source: 'letters', state: 'retrying' },
      api: `${API}/dead-letters?source_id=letters`,
    });
    assert.deepEqual(attributes, { SourceId: 'letters', State: 'retrying' });
    const details = await told(handle);
    assert.match(details, /Retrying\*\*: waits for the next retry, next at \d{4}-/);
    assert.match(details, /Last failure: `no <b>room<\/b> at postgres:\/\/\*\*\*@db.test\/x`/);
  });

  it('shows housekeeping and its next round', async () => {
    const { type, ...options } = HOUSEKEEPING;
    await there.client.workflow.start(type, options);
    const handle = handleOf(HOUSEKEEPING_WORKFLOW_ID);
    const { memo, summary } = await seen(handle);
    assert.deepEqual([memo, summary], [{ api: `${API}/status` }, 'Housekeeping']);
    await waitFor(async () => /Next round at \d{4}-/.test(await told(handle)), { what: 'its first round' });
    assert.equal(await changes(handle), 0);
  });

  it('shows hostile names safely', async () => {
    const name = `\u202e<script>alert(1)</script>[x](javascript:alert(1))\`\n# ${'😀'.repeat(5000)}\ud800`;
    const id = await rule({ name: name.slice(0, 199), incident_severity: 'critical'.repeat(4) });
    const handle = handleOf(ruleWorkflowId(id));
    const { memo, attributes, summary } = await seen(handle);
    assert.match(summary!, /^Rule `[^`]*…`, `criticalcriticalcriticalcritical`$/);
    assert.ok(Buffer.byteLength(summary!) < 400);
    assert.equal(memo.rule, attributes.RuleName);
    assert.match(String(memo.rule), /^<script>alert\(1\)<\/script>\[x\]\(javascript:alert\(1\)\)` # 😀+…$/u);
    assert.deepEqual(await listed(there.client, `RuleId = '${id}'`), [handle.workflowId]);
    assert.deepEqual(await failedTasks(handle), []);
  });
});
