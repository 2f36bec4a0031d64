import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { AppendConnections } from '../../db/connections/append-connections.ts';
import { sqlOf } from '../../db/orm.ts';
import { deleteRule } from '../../db/queries/rules/changes.ts';
import { takeOutbox } from '../../db/queries/rules/wake.ts';
import { Append } from '../../ingest/append/append.ts';
import { tidyNow } from '../../workflows/housekeeping.ts';
import { HOUSEKEEPING_WORKFLOW_ID, incidentWorkflowId } from '../../workflows/ids.ts';
import { ruleState, wakeRule } from '../../workflows/messages.ts';
import { anEvent, aRule } from '../support/engine.ts';
import { keepHistory } from '../support/histories.ts';
import { silent } from '../support/stage/log.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Stage, stage } from './stage.ts';

const ticks = (n: number, ago = 0) =>
  Array.from({ length: n }, (_, i) => anEvent({ occurred_at: Date.now() - ago - i }));

describe('the workflow of a rule', () => {
  let there: Stage;
  beforeEach(async () => {
    there = await stage();
  });
  afterEach(() => there.close());

  const idle = (rule: string) =>
    waitFor(async () => (await there.workflow(rule).query(ruleState)).evaluations > 0, {
      what: 'the rule to have been judged',
    });

  it('opens an incident as soon as events are stored, and ends it when the watermark has passed its window', async () => {
    await there.startWorker();
    there.startSweep();
    const rule = await there.create(aRule({ window: 1 }));
    await idle(rule);
    const events = ticks(3);
    await there.ingest.accept(events);
    const open = await there.incident(rule, 'open');
    assert.equal(open.openedAt.getTime(), events[0]!.occurred_at);
    // The row exists before the workflow.
    await waitFor(() => there.client.workflow.getHandle(incidentWorkflowId(open.id)).describe(), {
      what: 'the workflow of the incident',
    });
    const resolved = await there.incident(rule, 'resolved');
    assert.equal(resolved.id, open.id);
    assert.equal(resolved.endedAt?.getTime(), events[2]!.occurred_at + 1001);
    await waitFor(async () => (await there.workflow(rule).query(ruleState)).firing === 0, {
      what: 'all quiet',
    });
    await keepHistory(there.workflow(rule), 'alert-rule-opened-resolved');
  });

  it('counts stored events first, is signalled about changes, and ends with its rule', async () => {
    await there.startWorker();
    await there.ingest.accept(ticks(3, 5000));
    const rule = await there.create(aRule({ window: 600 }));
    await there.incident(rule, 'open');
    await deleteRule(there.orm, rule, Date.now());
    await there.changed(rule);
    assert.equal((await there.incident(rule, 'resolved')).resolveReason, 'rule deleted');
    const handle = there.workflow(rule);
    await handle.result();
    await keepHistory(handle, 'alert-rule-deleted');
    // A wake that comes later finds nothing and ends too.
    await there.changed(rule);
    await there.workflow(rule).result();
  });

  it('is started again by housekeeping after somebody terminated it', async () => {
    await there.startWorker();
    const rule = await there.create(aRule({ window: 600 }));
    await idle(rule);
    const first = await there.workflow(rule).describe();
    await there.workflow(rule).terminate();
    there.startHousekeeping();
    const housekeeping = there.client.workflow.getHandle(HOUSEKEEPING_WORKFLOW_ID);
    const second = await waitFor(
      async () => {
        const now = await there.workflow(rule).describe();
        if (now.status.name === 'RUNNING') return now;
        // Housekeeping may not have been started yet.
        await housekeeping.signal(tidyNow).catch(() => undefined);
        return undefined;
      },
      { what: 'another run', everyMs: 200 },
    );
    assert.notEqual(second.runId, first.runId);
    await idle(rule);
    await keepHistory(housekeeping, 'housekeeping');
  });

  it('waits for a failing database as a pending activity, which costs no history', async () => {
    await there.startWorker();
    const rule = await there.create(aRule({ window: 600 }));
    await idle(rule);
    const handle = there.workflow(rule);
    const rename = (from: string, to: string) =>
      sql.raw(`alter table ${from} rename to ${to}`).execute(sqlOf(there.orm));
    const attempts = async () => {
      const { raw, historyLength } = await handle.describe();
      const [pending] = raw.pendingActivities ?? [];
      return { name: pending?.activityType?.name, attempt: pending?.attempt ?? 0, historyLength };
    };
    await there.ingest.accept(ticks(3));
    await there.incident(rule, 'open');
    await rename('rule_versions', 'away');
    try {
      await handle.signal(wakeRule);
      await waitFor(async () => (await attempts()).attempt >= 2, { what: 'its retries by the server' });
      const before = await attempts();
      assert.equal(before.name, 'evaluateRule');
      await waitFor(async () => (await attempts()).attempt >= before.attempt + 2, { what: 'more retries' });
      assert.equal((await attempts()).historyLength, before.historyLength);
    } finally {
      await rename('away', 'rule_versions');
    }
    await waitFor(async () => (await attempts()).name === undefined, { what: 'the end of it' });
  });

  it('is woken by the sweep after a crash between a commit and its signal', async () => {
    await there.startWorker();
    const [left, noted] = [await there.create(aRule()), await there.create(aRule({ window: 20 }))];
    for (const rule of [left, noted]) await idle(rule);
    const connections = new AppendConnections(there.orm, 1);
    const append = new Append({ orm: there.orm, connections, clock: Date.now, log: silent });
    const db = sqlOf(there.orm);
    // Stored and noted, but nobody was signalled.
    await append.run(ticks(3));
    await takeOutbox(db, null);
    await sql`delete from pending_evaluations where rule_id = ${left}`.execute(db);
    await sql`update pending_evaluations set signalled_at = now() - interval '1 minute'`.execute(db);
    // Stored, but not even noted.
    await append.run(ticks(1));
    await connections.close();
    await sql`update wake_outbox set created_at = now() - interval '1 minute'`.execute(db);
    there.startSweep();
    for (const rule of [left, noted]) await there.incident(rule, 'open');
  });

  it('continues as new after many signals, and loses none', async () => {
    const rule = await there.create(aRule({ window: 600 }));
    const handle = there.workflow(rule);
    const { runId } = await handle.describe();
    await there.ingest.accept(ticks(3));
    for (let sent = 0; sent < 5000; sent += 250) {
      await Promise.all(Array.from({ length: 250 }, () => handle.signal(wakeRule)));
    }
    await there.startWorker();
    await there.incident(rule, 'open');
    await waitFor(async () => (await handle.describe()).runId !== runId, { what: 'another run' });
    await waitFor(async () => (await handle.query(ruleState)).evaluations > 1, { what: 'it to count on' });
    await there.ingest.accept(ticks(3, 60_000));
    await waitFor(async () => (await there.incident(rule, 'open')).openedAt.getTime() < Date.now() - 59_000, {
      what: 'late events to be judged by the new run',
    });
  });
});
