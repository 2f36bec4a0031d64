import { type Incident, IncidentEntity } from '../../db/entities/incident.ts';
import { createRule, type RuleInput } from '../../db/queries/rules/changes.ts';
import { signalRule } from '../../temporal-config/signals/rules.ts';
import { keepHousekeeping } from '../../workers/housekeeper.ts';
import { ruleWorkers } from '../../workers/rules.ts';
import { startSweep } from '../../workers/sweep.ts';
import { ruleWorkflowId } from '../../workflows/ids.ts';
import { bundleOf } from '../support/stage/bundles.ts';
import { openDatabase } from '../support/stage/database.ts';
import { reportLoad, startIngest } from '../support/stage/ingest.ts';
import { openStage } from '../support/stage/stage.ts';
import { connectTemporal } from '../support/stage/temporal.ts';
import { runner, workerContext } from '../support/stage/workers.ts';
import { waitFor } from '../support/wait-for.ts';

export type Stage = Awaited<ReturnType<typeof stage>>;

/**
 * A database and a namespace, with the ingest path, the real rules worker and its sweep, each of which the
 * test starts.
 */
export const stage = () =>
  openStage(async (closing) => {
    const database = await openDatabase(closing, { connections: 8 });
    const temporal = await connectTemporal(closing);
    const there = { orm: database.orm, client: temporal.client };
    const ingest = startIngest(closing, there);
    reportLoad(closing, there.orm, ingest);
    const workflowBundle = await bundleOf('test/rules/bundle.ts');
    const context = workerContext({ database, temporal, workflowBundle });
    const run = runner(closing);
    const untilClosed = (task: { stop(): Promise<void> }) => closing.defer(() => task.stop());
    return {
      ...there,
      ingest,
      startWorker: async () => void run(await ruleWorkers(context)),
      startSweep: () => untilClosed(startSweep(context)),
      /** Does what a rules worker does, until the stage ends. */
      startHousekeeping: () => untilClosed(keepHousekeeping(context)),
      /** Does what the API does for a new rule. */
      async create(input: RuleInput): Promise<string> {
        const { id } = await createRule(there.orm, input, Date.now());
        await signalRule(there, id);
        return id;
      },
      workflow: (ruleId: string) => there.client.workflow.getHandle(ruleWorkflowId(ruleId)),
      changed: (ruleId: string) => signalRule(there, ruleId),
      /** The rule's only incident, once it is in this state. */
      incident: (ruleId: string, state: Incident['state']): Promise<Incident> =>
        waitFor(() => there.orm.em.fork().findOne(IncidentEntity, { ruleId, state }), {
          what: `an incident that is ${state}`,
        }),
    };
  });
