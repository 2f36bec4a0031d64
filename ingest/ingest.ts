import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { AppendConnections } from '../db/connections/append-connections.ts';
import { type Orm, sqlOf } from '../db/orm.ts';
import { claimTimes } from '../db/queries/events/append.ts';
import { type DiskGuard, guarded } from '../process/disk/guard.ts';
import { ruleSignals } from '../temporal-config/signals/rules.ts';
import { Append } from './append/append.ts';
import { Buffer, type BufferLimits } from './append/buffer.ts';
import { Waker } from './append/waker.ts';
import { type IngestObserver, observed, timed, unobserved } from './observer.ts';
import { type Ingest, StoreUnavailable } from './outcome.ts';

/** Makes the ingest path of a process: buffer ► append ► wake. */
export function createIngest({
  orm,
  client,
  clock,
  log,
  limits,
  disk,
  observer = unobserved,
  ofProducers,
}: {
  orm: Orm;
  client: Client;
  clock: () => number;
  log: Logger;
  limits: Omit<BufferLimits, 'appendsInFlight' | 'besideEvents'> & Partial<BufferLimits>;
  /** Refuses events while the disk is full. */
  disk?: DiskGuard;
  observer?: IngestObserver;
  /** True if all events come from producers. */
  ofProducers?: boolean;
}): Ingest {
  const { appendsInFlight = 2 } = limits;
  const connections = new AppendConnections(orm, appendsInFlight);
  const append = new Append({ orm, connections, clock, log, ofProducers });
  const signals = ruleSignals({ orm, client }, log);
  const waker = new Waker({ orm, signal: (ids) => signals.add(ids), log, observer });
  const buffer = new Buffer(
    timed((events) => append.run(events), observer),
    (ids) => waker.committed(ids),
    { appendsInFlight, besideEvents: 100, ...limits },
  );
  const open: Ingest = {
    accept: (events) => buffer.accept(events),
    async claimTimes(claims) {
      try {
        return await claimTimes(sqlOf(orm), claims);
      } catch (error) {
        throw new StoreUnavailable('PostgreSQL is unavailable', { cause: error });
      }
    },
    requireRoom: () => buffer.requireRoom(),
    load: () => buffer.load(),
    async stop() {
      await buffer.stop();
      await waker.idle();
      await signals.stop();
      await connections.close();
    },
  };
  return observed(disk ? guarded(open, disk) : open, observer);
}
