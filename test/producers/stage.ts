import type { Ingest } from '../../ingest/outcome.ts';
import { ingestWorkers } from '../../workers/ingest.ts';
import { bundleOf } from '../support/stage/bundles.ts';
import { openDatabase } from '../support/stage/database.ts';
import { startIngest } from '../support/stage/ingest.ts';
import { openStage } from '../support/stage/stage.ts';
import { connectTemporal } from '../support/stage/temporal.ts';
import { runner, workerContext } from '../support/stage/workers.ts';
import { producersIn } from './record.ts';

export type Stage = Awaited<ReturnType<typeof stage>>;

type Options = {
  rateLimit?: number;
  /** Comes before the real ingest and can fail in its place. */
  between?: (ingest: Ingest) => Ingest;
};

/** The code of the producer and dead-letter workflows. */
export const producerBundle = () => bundleOf('test/producers/bundle.ts');

/** A database, a namespace and the real ingest workers. */
export const stage = ({ rateLimit = 1000, between = (ingest) => ingest }: Options = {}) =>
  openStage(async (closing) => {
    const database = await openDatabase(closing);
    const temporal = await connectTemporal(closing);
    const { orm } = database;
    const { client, namespace } = temporal;
    const ingest = between(startIngest(closing, { orm, client, ofProducers: true }));
    const settings = { INGEST_RATE_LIMIT: String(rateLimit), HTTP_CHECK_NETWORKS: 'private' };
    const workflowBundle = await producerBundle();
    const context = workerContext({ database, temporal, workflowBundle, settings });
    runner(closing)(await ingestWorkers({ ...context, ingest }));
    return { ...producersIn({ orm, client }), orm, client, namespace, ingest };
  });
