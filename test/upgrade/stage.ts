import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { loadConfig } from '../../config.ts';
import { connect } from '../../db/orm.ts';
import { createIngest } from '../../ingest/ingest.ts';
import { type Ingest, StoreUnavailable } from '../../ingest/outcome.ts';
import { Deafness } from '../../process/deafness.ts';
import { startHeartbeat } from '../../process/heartbeat.ts';
import { KnownAttributes } from '../../temporal-config/known-attributes.ts';
import { startsShown } from '../../temporal-config/starts.ts';
import { incidentWorkers } from '../../workers/incidents.ts';
import { ingestWorkers } from '../../workers/ingest.ts';
import { notifyWorkers } from '../../workers/notify.ts';
import { ruleWorkers } from '../../workers/rules.ts';
import { receiver } from '../incidents/channels/receiver.ts';
import { workflowsOf } from '../support/releases.ts';
import { freshDatabase, freshNamespace, temporalAddress } from '../support/servers.ts';
import { silent } from '../support/stage/log.ts';

export type Stage = Awaited<ReturnType<typeof stage>>;

/**
 * What a scenario does before the workers are replaced, while none runs, and afterwards. Each step may store
 * what later steps need.
 */
export interface Scenario {
  /** What continues, for the title of the test. */
  name: string;
  /**
   * Brings a workflow of the last release into the middle of its work, with pending timers, activities and
   * messages.
   */
  begin(there: Stage): Promise<void>;
  /** Runs while there is no worker: what arrives meanwhile. */
  between?(there: Stage): Promise<void>;
  /** Runs when the current code has taken over. Checks that it finishes what was begun, and does more. */
  goesOn(there: Stage): Promise<void>;
}

/** A database, a namespace and all real workers, which run the workflows of a release or the current ones. */
export async function stage({ namespaceOf = freshNamespace } = {}) {
  const address = await temporalAddress();
  const [database, namespace] = await Promise.all([freshDatabase(), namespaceOf()]);
  const orm = await connect(database.url, 10);
  const connection = await Connection.connect({ address });
  const nativeConnection = await NativeConnection.connect({ address });
  const clock = Date.now;
  const log = silent;
  const known = new KnownAttributes({ connection, namespace, log });
  const starts = startsShown({ api: 'https://ops:secret@tocsin.test/base/?token=abc', known });
  const client = new Client({
    ...{ connection, namespace, identity: 'test' },
    interceptors: { workflow: [starts] },
  });
  let answers = 503;
  const hook = await receiver(() => ({ status: answers, headers: { 'retry-after': '20' } }));
  const limits = { bufferEvents: 20_000, appendEvents: 2000 };
  const ingest = createIngest({ orm, client, clock, log, limits });
  const refusing = new Set<string>();
  /** Refuses events of some sources as if PostgreSQL were down. */
  const gated: Ingest = new Proxy(ingest, {
    get(target, property) {
      if (property !== 'accept') {
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async (events: Parameters<Ingest['accept']>[0]) => {
        if (events.some(({ source_id }) => refusing.has(source_id))) throw new StoreUnavailable('away');
        return target.accept(events);
      };
    },
  });
  const heartbeat = startHeartbeat({
    ...{ orm, role: 'api', log },
    hearing: { load: ingest.load, deafness: new Deafness('api') },
  });
  const config = loadConfig({
    DATABASE_URL: database.url,
    TEMPORAL_NAMESPACE: namespace,
    PUBLIC_URL: 'https://ops:secret@tocsin.test/base/?token=abc',
    CHANNELS: JSON.stringify([{ kind: 'webhook', name: 'ops', url: hook.url }]),
  });
  let running: { worker: Worker; ended: Promise<void> }[] = [];

  async function stopWorkers(): Promise<void> {
    for (const { worker } of running) worker.shutdown();
    await Promise.all(running.map(({ ended }) => ended));
    running = [];
  }

  return {
    orm,
    client,
    namespace,
    ingest,
    hook,
    /** Sources whose events cannot be stored now. */
    refusing,
    /** Sets the HTTP status that the channel answers. */
    channelAnswers(status: number): void {
      answers = status;
    },
    async runWorkersOf(release: string | 'today'): Promise<void> {
      const workflowBundle = await workflowsOf(release);
      const context = { config, orm, client, connection: nativeConnection, workflowBundle, log, clock };
      const workers = [
        ...(await ingestWorkers({ ...context, ingest: gated })),
        ...(await ruleWorkers(context)),
        ...(await incidentWorkers(context)),
        ...(await notifyWorkers(context)),
      ];
      running = workers.map((worker) => ({ worker, ended: worker.run() }));
    },
    stopWorkers,
    async close(): Promise<void> {
      await stopWorkers();
      await ingest.stop();
      await heartbeat.stop();
      await nativeConnection.close();
      await connection.close();
      await hook.close();
      await orm.close(true);
      await database.drop();
    },
  };
}

const { WorkflowTaskFailedCause } = proto.temporal.api.enums.v1;

/**
 * Why workflow tasks of a run failed. A workflow that cannot continue under new code fails again and again.
 */
export async function failedTasks(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ workflowTaskFailedEventAttributes: failed }) => {
    // A message came when the workflow ended, so the server repeats the task. That is normal.
    const usual = failed?.cause === WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND;
    return failed && !usual ? [failed.failure?.message ?? 'unknown'] : [];
  });
}

/** The activities of a workflow that wait, are retried, or run. */
export async function pendingActivities(handle: WorkflowHandle): Promise<string[]> {
  const { raw } = await handle.describe();
  return (raw.pendingActivities ?? []).map(({ activityType }) => activityType?.name ?? '');
}
