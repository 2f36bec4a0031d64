import assert from 'node:assert/strict';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { createRule } from '../../db/queries/rules/changes.ts';
import { KnownAttributes } from '../../temporal-config/known-attributes.ts';
import { register, searchAttributes } from '../../temporal-config/register.ts';
import { signalRule } from '../../temporal-config/signals/rules.ts';
import { ruleWorkflowId } from '../../workflows/ids.ts';
import { ruleState } from '../../workflows/messages.ts';
import { aRule } from '../support/engine.ts';
import { freshNamespace, temporalAddress } from '../support/servers.ts';
import { silent } from '../support/stage/log.ts';
import { waitFor } from '../support/wait-for.ts';
import { failedTasks } from '../upgrade/runs.ts';
import { type Stage, stage } from '../upgrade/stage.ts';
import { seen } from '../workers/temporal-ui/shown.ts';

const names = Object.keys(searchAttributes);

describe('a namespace that others prepare', () => {
  let there: Stage;
  let connection: Connection;
  const namespace = 'without-attributes';
  before(async function () {
    this.timeout(120_000);
    connection = await Connection.connect({ address: await temporalAddress() });
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs(86_400_000),
    });
    await waitFor(
      () => connection.workflowService.describeTaskQueue({ namespace, taskQueue: { name: 'any' } }),
      { what: 'the namespace' },
    );
    there = await stage({ namespaceOf: async () => namespace });
    await there.runWorkersOf('today');
  });
  after(async () => {
    await there?.close();
    await connection?.close();
  });

  it('runs workflows without our search attributes, and their memo has the values', async () => {
    const { id } = await createRule(
      there.orm,
      aRule({ name: 'Nameless', incident_severity: 'high' }),
      Date.now(),
    );
    await signalRule(there, id);
    const handle = there.client.workflow.getHandle(ruleWorkflowId(id));
    await waitFor(async () => (await handle.query(ruleState)).evaluations > 0, { what: 'a judging' });
    const { memo, attributes, summary } = await seen(handle);
    assert.deepEqual([memo.rule, memo.state, attributes], ['Nameless', 'quiet', {}]);
    assert.equal(summary, 'Rule `Nameless`, `high`');
    assert.deepEqual(await failedTasks(handle), []);
  });

  it('is asked for its search attributes even with credentials that may only list workflows', async () => {
    const asked = (one: string, refused: boolean) => {
      const { operatorService, workflowService } = connection;
      const listSearchAttributes = async () => {
        throw Object.assign(new Error('denied'), { code: 7 });
      };
      return new KnownAttributes({
        connection: {
          withDeadline: connection.withDeadline.bind(connection),
          workflowService,
          operatorService: refused ? { listSearchAttributes } : operatorService,
        } as unknown as Connection,
        namespace: one,
        log: silent,
      }).names();
    };
    const prepared = await freshNamespace();
    assert.deepEqual(await asked(prepared, false), names);
    assert.deepEqual(await asked(prepared, true), names);
    assert.deepEqual(await asked(namespace, false), []);
    assert.deepEqual(await asked(namespace, true), []);
  });

  it('counts as having no search attributes while Temporal is down, after a short wait', async () => {
    const away = Connection.lazy({ address: '127.0.0.1:1' });
    const began = performance.now();
    assert.deepEqual(await new KnownAttributes({ connection: away, namespace, log: silent }).names(), []);
    assert.ok(performance.now() - began < 15_000);
    await away.close();
  });

  it('gets the missing attributes from a later setup, which may run again', async () => {
    await register(connection, { namespace });
    await register(connection, { namespace });
    const known = new KnownAttributes({ connection, namespace, log: silent });
    assert.deepEqual(await known.names(), names);
  });
});
