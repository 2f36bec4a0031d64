import {
  allHandlersFinished,
  CancellationScope,
  condition,
  proxyActivities,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ProducerActivities } from '../../activities/dead-letters/index.ts';
import type { IngestActivities } from '../../activities/producers/emit.ts';
import { withoutSecrets } from '../../domain/producers/producer.ts';
import { batchSize } from '../../domain/producers/tick.ts';
import { eventsIn, kindOf, reasonOf } from '../failure-of.ts';
import {
  type Batch,
  configureProducer,
  type ProducerInput,
  pauseProducer,
  producerStatus,
  resumeProducer,
  setProducerRate,
  stopProducer,
} from '../messages.ts';
import { QUEUES } from '../queues.ts';
import { retryPolicies } from '../retry-policies.ts';
import { SOURCE_ID } from '../search-attributes.ts';
import { continueShown, shows } from '../shown.ts';
import { failed, succeeded } from './breaker.ts';
import { Pace } from './pace.ts';
import {
  requirePausable,
  requireRate,
  requireResumable,
  requireRunnable,
  requireStaying,
  withRate,
} from './requests.ts';

/**
 * How many batches a run emits before it continues as new. Each makes about twelve history events, so the run
 * stays well below the 4,096 of the server's hint.
 */
const BATCHES_A_RUN = 250;

const ingest = proxyActivities<IngestActivities>({ ...retryPolicies.append, taskQueue: QUEUES.ingest });
const keeper = proxyActivities<ProducerActivities>({ ...retryPolicies.record, taskQueue: QUEUES.producers });

/**
 * Runs one producer for as long as its row exists. It emits a batch at each tick. If batches wait, it falls
 * behind instead of queueing more. It passes batches that failed for good to the dead-letter workflow, and
 * pauses if every batch fails.
 */
export async function producer(input: ProducerInput): Promise<void> {
  const pace = new Pace(input);
  let told = false;
  let stopping = false;
  let emittedBatches = 0;

  setHandler(producerStatus, () => pace.status());
  setHandler(
    pauseProducer,
    (_by) => {
      told = true;
      return pace.pause();
    },
    { validator: (_by) => requirePausable(pace) },
  );
  setHandler(
    resumeProducer,
    (_by) => {
      told = true;
      return pace.resume();
    },
    { validator: (_by) => requireResumable(pace) },
  );
  setHandler(
    setProducerRate,
    ({ rate_per_second }) => {
      told = true;
      return pace.configure(withRate(pace.settings, rate_per_second), pace.paused);
    },
    { validator: ({ rate_per_second }) => requireRate(pace.settings, rate_per_second) },
  );
  setHandler(
    configureProducer,
    ({ settings, paused }) => {
      told = true;
      return pace.configure(settings, paused ?? pace.paused);
    },
    {
      validator: ({ settings }) => {
        requireStaying(stopping);
        requireRunnable(settings);
      },
    },
  );
  const end = () => {
    stopping = true;
    pace.changed();
  };
  setHandler(stopProducer, (_by) => {
    end();
    return pace.status();
  });
  // A cancelled producer finishes its batches like a stopped one, so that no batch is neither stored nor a
  // dead letter.
  void CancellationScope.current().cancelRequested.catch(end);

  const emit = async (batch: Batch): Promise<void> => {
    const size = batchSize(batch.settings, batch);
    const last = batch.first_sequence + size - 1;
    const summary = size === 0 ? 'nothing to emit' : `${batch.first_sequence}–${last}`;
    try {
      const emitted = await ingest.emitBatch.executeWithOptions({ summary }, [batch]);
      const { stored, duplicates, refused, gone } = emitted;
      succeeded(pace.breaker);
      pace.emitted += stored + duplicates;
      pace.deadLettered += refused;
      if (gone) end();
    } catch (error) {
      pace.lastError = reasonOf(error);
      failed(pace.breaker, Date.now());
      if (size === 0) return;
      const held = { batch, failure: kindOf(error), reason: reasonOf(error), failed_at: Date.now() };
      await keeper.deadLetterBatch({ ...held, events: eventsIn(error) });
      pace.deadLettered += size;
    } finally {
      pace.landed(batch);
    }
  };

  await CancellationScope.nonCancellable(async () => {
    if (!shows()) upsertSearchAttributes([{ key: SOURCE_ID, value: input.source_id }]);
    const row = await keeper.producerRow(input.source_id);
    pace.shown.setInstallation(row?.installation);
    if (row === null) stopping = true;
    // The first run starts from the row. Settings from an update are newer, because updates reach the
    // workflow before the row.
    else if (!told && !input.resume) pace.adopt(row.settings, row.paused);

    while (!stopping && !(emittedBatches >= BATCHES_A_RUN || workflowInfo().continueAsNewSuggested)) {
      const batch = pace.take();
      if (batch === null) {
        await pace.untilSomethingCanGo();
        continue;
      }
      emittedBatches += 1;
      void emit(batch);
    }
    pace.describe(stopping ? 'Stopping: finishes what is in flight.' : 'Continuing as new.');
    await condition(() => pace.inFlight === 0 && allHandlersFinished());
  });
  if (stopping) return;
  const next = pace.input();
  // A run of an earlier release may still contain the full URL of its checks.
  await continueShown<typeof producer>({ ...next, settings: withoutSecrets(next.settings) });
}
