import { Client } from '@temporalio/client';
import { type Ingest, StoreUnavailable } from '../../ingest/outcome.ts';
import { KnownAttributes } from '../../temporal-config/known-attributes.ts';
import { startsShown } from '../../temporal-config/starts.ts';
import { incidentWorkers } from '../../workers/incidents.ts';
import { ingestWorkers } from '../../workers/ingest.ts';
import { notifyWorkers } from '../../workers/notify.ts';
import { ruleWorkers } from '../../workers/rules.ts';
import { workflowsOf } from '../support/releases.ts';
import { openDatabase } from '../support/stage/database.ts';
import { reportLoad, startIngest } from '../support/stage/ingest.ts';
import { silent as log } from '../support/stage/log.ts';
import { openReceiver } from '../support/stage/receiver.ts';
import { openStage } from '../support/stage/stage.ts';
import { connectTemporal } from '../support/stage/temporal.ts';
import { runner, workerContext } from '../support/stage/workers.ts';

export type Stage = Awaited<ReturnType<typeof stage>>;

const PUBLIC_URL = 'https://ops:secret@tocsin.test/base/?token=abc';

/** A database, a namespace and all real workers, which run the workflows of a release or the current ones. */
export const stage = (options: Parameters<typeof connectTemporal>[1] = {}) =>
  openStage(async (closing) => {
    const database = await openDatabase(closing, { connections: 10 });
    const { orm } = database;
    const { connection, ...temporal } = await connectTemporal(closing, options);
    const { namespace } = temporal;
    const starts = startsShown({
      api: PUBLIC_URL,
      known: new KnownAttributes({ connection, namespace, log }),
    });
    const interceptors = { workflow: [starts] };
    const client = new Client({ connection, namespace, identity: 'test', interceptors });
    let answers = 503;
    const hook = await openReceiver(closing, () => ({ status: answers, headers: { 'retry-after': '20' } }));
    const ingest = startIngest(closing, { orm, client });
    reportLoad(closing, orm, ingest);
    const refusing = new Set<string>();
    const settings = {
      PUBLIC_URL,
      CHANNELS: JSON.stringify([{ kind: 'webhook', name: 'ops', url: hook.url }]),
    };
    const run = runner(closing);
    let stopWorkers = async () => {};
    return {
      ...{ orm, client, namespace, ingest, hook },
      /** Sources whose events cannot be stored now. */
      refusing,
      /** Sets the HTTP status that the channel answers. */
      channelAnswers(status: number): void {
        answers = status;
      },
      async runWorkersOf(release: string | 'today'): Promise<void> {
        const workflowBundle = await workflowsOf(release);
        const context = workerContext({
          database,
          temporal: { ...temporal, client },
          workflowBundle,
          settings,
        });
        const workers = [
          await ingestWorkers({ ...context, ingest: gated(ingest, refusing) }),
          await ruleWorkers(context),
          await incidentWorkers(context),
          await notifyWorkers(context),
        ];
        stopWorkers = run(workers.flat());
      },
      stopWorkers: () => stopWorkers(),
    };
  });

/** Refuses events of some sources as if PostgreSQL were down. */
function gated(ingest: Ingest, refusing: ReadonlySet<string>): Ingest {
  const accept: Ingest['accept'] = async (events) => {
    if (events.some(({ source_id }) => refusing.has(source_id))) throw new StoreUnavailable('away');
    return ingest.accept(events);
  };
  return { ...ingest, accept };
}
