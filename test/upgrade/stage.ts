import { Client } from '@temporalio/client';
import { KnownAttributes } from '../../temporal-config/known-attributes.ts';
import { startsShown } from '../../temporal-config/starts.ts';
import { workflowsOf } from '../support/releases.ts';
import { allWorkers } from '../support/stage/all-workers.ts';
import { openDatabase } from '../support/stage/database.ts';
import { reportLoad, startIngest } from '../support/stage/ingest.ts';
import { silent as log } from '../support/stage/log.ts';
import { openReceiver } from '../support/stage/receiver.ts';
import { openStage } from '../support/stage/stage.ts';
import { connectTemporal } from '../support/stage/temporal.ts';
import { runner, workerContext } from '../support/stage/workers.ts';
import { gated } from './gated.ts';

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
        stopWorkers = run(await allWorkers(context, gated(ingest, refusing)));
      },
      stopWorkers: () => stopWorkers(),
    };
  });
