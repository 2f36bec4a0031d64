import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { loadConfig } from '../../config.ts';
import { type Incident, IncidentEntity } from '../../db/entities/incident.ts';
import { connect } from '../../db/orm.ts';
import { createRule, type RuleInput } from '../../db/queries/rules/changes.ts';
import { createIngest } from '../../ingest/ingest.ts';
import { Deafness } from '../../process/deafness.ts';
import { startHeartbeat } from '../../process/heartbeat.ts';
import { signalRule } from '../../temporal-config/signals/rules.ts';
import { keepHousekeeping } from '../../workers/housekeeper.ts';
import { ruleWorkers } from '../../workers/rules.ts';
import { startSweep } from '../../workers/sweep.ts';
import { ruleWorkflowId } from '../../workflows/ids.ts';
import { silent } from '../support/engine.ts';
import { freshDatabase, freshNamespace, temporalAddress } from '../support/servers.ts';
import { waitFor } from '../support/wait-for.ts';

export type Stage = Awaited<ReturnType<typeof stage>>;

const silence = () => {};
const quiet = { log: silence, trace: silence, debug: silence, info: silence, warn: silence, error: silence };
let bundle: Promise<WorkflowBundleWithSourceMap> | undefined;

/** The code of the rule and housekeeping workflows, bundled once per test run. */
export function ruleBundle(): Promise<WorkflowBundleWithSourceMap> {
  bundle ??= bundleWorkflowCode({ workflowsPath: join(import.meta.dirname, 'bundle.ts'), logger: quiet });
  return bundle;
}

/**
 * A database and a namespace, with the ingest path, the real rules worker and its sweep, each of which the
 * test starts.
 */
export async function stage() {
  const address = await temporalAddress();
  const [database, namespace] = await Promise.all([freshDatabase(), freshNamespace()]);
  const orm = await connect(database.url, 8);
  const connection = await Connection.connect({ address });
  const nativeConnection = await NativeConnection.connect({ address });
  const client = new Client({ connection, namespace, identity: 'test' });
  const clock = Date.now;
  const log = silent;
  const config = loadConfig({ DATABASE_URL: database.url, TEMPORAL_NAMESPACE: namespace });
  const workflowBundle = await ruleBundle();
  const context = { config, orm, client, connection: nativeConnection, workflowBundle, log, clock };
  const limits = { bufferEvents: 20_000, appendEvents: 2000 };
  const ingest = createIngest({ orm, client, clock, log, limits });
  const heartbeat = startHeartbeat({
    ...{ orm, role: 'api', log },
    hearing: { load: ingest.load, deafness: new Deafness('api') },
  });
  const stops: (() => Promise<void>)[] = [];

  return {
    orm,
    client,
    ingest,
    async startWorker(): Promise<void> {
      const workers = await ruleWorkers(context);
      const ended = Promise.all(workers.map((worker) => worker.run()));
      stops.push(async () => {
        for (const worker of workers) worker.shutdown();
        await ended;
      });
    },
    startSweep(): void {
      const sweep = startSweep(context);
      stops.push(() => sweep.stop());
    },
    /** Does what a rules worker does, until the stage ends. */
    startHousekeeping(): void {
      const housekeeper = keepHousekeeping(context);
      stops.push(() => housekeeper.stop());
    },
    /** Does what the API does for a new rule. */
    async create(input: RuleInput): Promise<string> {
      const { id } = await createRule(orm, input, clock());
      await signalRule({ orm, client }, id);
      return id;
    },
    workflow: (ruleId: string) => client.workflow.getHandle(ruleWorkflowId(ruleId)),
    changed: (ruleId: string) => signalRule({ orm, client }, ruleId),
    /** The rule's only incident, once it is in this state. */
    incident: (ruleId: string, state: string): Promise<Incident> =>
      waitFor(() => orm.em.fork().findOne(IncidentEntity, { ruleId, state: state as Incident['state'] }), {
        what: `an incident that is ${state}`,
      }),
    async close(): Promise<void> {
      for (const stop of stops.reverse()) await stop();
      await ingest.stop();
      await heartbeat.stop();
      await nativeConnection.close();
      await connection.close();
      await orm.close(true);
      await database.drop();
    },
  };
}
