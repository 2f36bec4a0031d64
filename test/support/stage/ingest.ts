import { createIngest } from '../../../ingest/ingest.ts';
import type { Ingest } from '../../../ingest/outcome.ts';
import { Deafness } from '../../../process/deafness.ts';
import { startHeartbeat } from '../../../process/heartbeat.ts';
import { silent } from './log.ts';
import type { Closing } from './stage.ts';

type Deps = Parameters<typeof createIngest>[0];

/** Starts the path by which events are stored. */
export function startIngest(
  closing: Closing,
  deps: Pick<Deps, 'orm' | 'client' | 'ofProducers' | 'observer'>,
): Ingest {
  const limits = { bufferEvents: 20_000, appendEvents: 2_000 };
  const ingest = createIngest({ ...deps, clock: Date.now, log: silent, limits });
  closing.defer(() => ingest.stop());
  return ingest;
}

/** Reports the load of an ingest like the API does, so that watermarks move. */
export function reportLoad(closing: Closing, orm: Deps['orm'], { load }: Ingest): void {
  const hearing = { load, deafness: new Deafness('api') };
  const heartbeat = startHeartbeat({ orm, role: 'api', log: silent, hearing });
  closing.defer(() => heartbeat.stop());
}
