import { join } from 'node:path';
import { Client, Connection, WithStartWorkflowOperation, type WorkflowHandle } from '@temporalio/client';
import {
  bundleWorkflowCode,
  NativeConnection,
  type Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { sql } from 'kysely';
import { pino } from 'pino';
import { loadConfig } from '../../config.ts';
import { DeadLetterEntity } from '../../db/entities/dead-letter.ts';
import { ProducerEntity } from '../../db/entities/producer.ts';
import { connect, sqlOf } from '../../db/orm.ts';
import type { Json } from '../../domain/events/event.ts';
import { type ProducerSettings, withoutSecrets } from '../../domain/producers/producer.ts';
import { createIngest } from '../../ingest/ingest.ts';
import type { Ingest } from '../../ingest/outcome.ts';
import { ingestWorkers } from '../../workers/ingest.ts';
import { deadLetterWorkflowId, producerWorkflowId } from '../../workflows/ids.ts';
import {
  configureProducer,
  deadLetterStatus,
  type ProducerInput,
  type ProducerStatus,
  producerStatus,
  stopProducer,
} from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { freshDatabase, freshNamespace, temporalAddress } from '../support/servers.ts';
import { waitFor } from '../support/wait-for.ts';

export type Stage = Awaited<ReturnType<typeof stage>>;

const silence = () => {};
const quiet = { log: silence, trace: silence, debug: silence, info: silence, warn: silence, error: silence };
let bundle: Promise<WorkflowBundleWithSourceMap> | undefined;

/** The code of the producer and dead-letter workflows, bundled once per test run. */
export function producerBundle(): Promise<WorkflowBundleWithSourceMap> {
  bundle ??= bundleWorkflowCode({ workflowsPath: join(import.meta.dirname, 'bundle.ts'), logger: quiet });
  return bundle;
}

/**
 * A database, a namespace and the real ingest workers. `between` comes before the real ingest and can fail in
 * its place.
 */
export async function stage({
  rateLimit = 1000,
  between = (ingest) => ingest,
}: {
  rateLimit?: number;
  between?: (ingest: Ingest) => Ingest;
} = {}) {
  const address = await temporalAddress();
  const [database, namespace] = await Promise.all([freshDatabase(), freshNamespace()]);
  const orm = await connect(database.url, 5);
  const connection = await Connection.connect({ address });
  const nativeConnection = await NativeConnection.connect({ address });
  const client = new Client({ connection, namespace, identity: 'test' });
  const log = pino({ level: 'silent' });
  const real = createIngest({
    orm,
    client,
    clock: Date.now,
    log,
    limits: { bufferEvents: 20_000, appendEvents: 2_000 },
    ofProducers: true,
  });
  const ingest = between(real);
  const config = loadConfig({
    DATABASE_URL: database.url,
    TEMPORAL_NAMESPACE: namespace,
    INGEST_RATE_LIMIT: String(rateLimit),
    HTTP_CHECK_NETWORKS: 'private',
  });
  const workflowBundle = await producerBundle();
  const context = { config, orm, client, connection: nativeConnection, workflowBundle, log, clock: Date.now };
  const workers = await ingestWorkers({ ...context, ingest });
  const ended = Promise.all(workers.map((worker: Worker) => worker.run()));
  const em = () => orm.em.fork();

  return {
    client,
    orm,
    namespace,
    ingest,
    /** Does what the API does: stores the row, then starts the workflow by update-with-start. */
    async start(sourceId: string, settings: ProducerSettings, paused = false) {
      const now = new Date();
      await em().upsert(ProducerEntity, {
        ...{ id: sourceId, settings, paused, createdAt: now, updatedAt: now },
      });
      await client.workflow.executeUpdateWithStart(configureProducer, {
        args: [{ settings: withoutSecrets(settings), paused }],
        startWorkflowOperation: new WithStartWorkflowOperation('producer', {
          workflowId: producerWorkflowId(sourceId),
          taskQueue: QUEUES.producers,
          args: [{ source_id: sourceId, settings: withoutSecrets(settings) } satisfies ProducerInput],
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      });
      return client.workflow.getHandle(producerWorkflowId(sourceId));
    },
    status: (handle: WorkflowHandle): Promise<ProducerStatus> => handle.query(producerStatus),
    async stop(handle: WorkflowHandle): Promise<void> {
      await handle.executeUpdate(stopProducer, { args: [{ actor: 'test' }] });
      await handle.result();
    },
    row: (sourceId: string) => em().findOneOrFail(ProducerEntity, sourceId),
    letters: (sourceId: string) =>
      em().find(DeadLetterEntity, { sourceId }, { orderBy: { createdAt: 'asc', id: 'asc' } }),
    deadLetters: (sourceId: string) => client.workflow.getHandle(deadLetterWorkflowId(sourceId)),
    held: (sourceId: string) =>
      client.workflow.getHandle(deadLetterWorkflowId(sourceId)).query(deadLetterStatus),
    /** The stored events of a source, in the order of their sequence. */
    async stored(sourceId: string) {
      const { rows } = await sql<{ sequence: number; severity: string; payload: Json; occurred_at: number }>`
        select (payload ->> 'sequence')::int as sequence, severity, payload,
          round(extract(epoch from occurred_at) * 1000)::float8 as occurred_at
        from events where source_id = ${sourceId} order by 1, 2`.execute(sqlOf(orm));
      return rows;
    },
    storedCount: (sourceId: string, count: number) =>
      waitFor(
        async () => {
          const { rows } = await sql<{ n: number }>`
            select count(*)::int as n from events where source_id = ${sourceId}`.execute(sqlOf(orm));
          return rows[0]!.n >= count;
        },
        { what: `${count} events of ${sourceId}` },
      ),
    async close() {
      for (const worker of workers) worker.shutdown();
      await ended;
      await real.stop();
      await nativeConnection.close();
      await connection.close();
      await orm.close(true);
      await database.drop();
    },
  };
}
