import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { incidentWorkers } from '../../workers/incidents.ts';
import { ingestWorkers } from '../../workers/ingest.ts';
import { type ApiOptions, startApi, TOKEN } from '../support/stage/api.ts';
import { bundleOf } from '../support/stage/bundles.ts';
import { caller } from '../support/stage/caller.ts';
import { openDatabase } from '../support/stage/database.ts';
import { startIngest } from '../support/stage/ingest.ts';
import { type Closing, openStage } from '../support/stage/stage.ts';
import { awayClient, connectTemporal } from '../support/stage/temporal.ts';
import { runner, workerContext } from '../support/stage/workers.ts';

export { RETENTION_DAYS, TOKEN } from '../support/stage/api.ts';
export type { Answer } from '../support/stage/declared.ts';

export type Stage = Awaited<ReturnType<typeof stage>>;

type Options = ApiOptions & {
  /**
   * `away`: Temporal does not answer. `idle`: a server without workers. `working`: a server with workers for
   * producers and incidents.
   */
  temporal?: 'away' | 'idle' | 'working';
};

/** Starts the API on its own database. */
export const stage = (options: Options = {}) => openStage((closing) => openApi(closing, options));

/** The part of a stage that is the API with what it needs. */
export async function openApi(closing: Closing, { temporal: kind = 'away', ...options }: Options) {
  const database = await openDatabase(closing, { connections: 8 });
  const { orm } = database;
  const temporal = kind === 'away' ? null : await connectTemporal(closing);
  const { client, namespace } = temporal ?? awayClient();
  if (temporal && kind === 'working') {
    const workflowBundle = await bundleOf('workflows/index.ts');
    const context = workerContext({ database, temporal, workflowBundle });
    const ingest = startIngest(closing, { orm, client, ofProducers: true });
    const workers = [await ingestWorkers({ ...context, ingest }), await incidentWorkers(context)];
    runner(closing)(workers.flat());
  }
  const api = await startApi(closing, { orm, client }, options);
  return {
    ...{ ...api, ...caller(api.url, api.routes, TOKEN), orm, client, namespace },
    query: async <T>(text: string): Promise<T[]> => (await sql.raw<T>(text).execute(sqlOf(orm))).rows,
  };
}
