import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { claimTimes } from '../db/queries/append.ts';
import { Append } from './append.ts';
import { Buffer, type BufferLimits } from './buffer.ts';
import { type Ingest, StoreUnavailable } from './outcome.ts';
import { signalRules } from './signal-rule.ts';
import { Waker } from './waker.ts';

/** Composes the way in: buffer ► append ► wake. One a process. */
export function createIngest({
  orm,
  client,
  clock,
  log,
  limits,
}: {
  orm: Orm;
  client: Client;
  clock: () => number;
  log: Logger;
  limits: Omit<BufferLimits, 'appendsInFlight'> & Partial<BufferLimits>;
}): Ingest {
  const append = new Append({ orm, clock, log });
  const waker = new Waker({ orm, signal: (ids) => signalRules(client, ids, log), log });
  const buffer = new Buffer(
    (events) => append.run(events),
    (ids) => waker.committed(ids),
    { appendsInFlight: 2, ...limits },
  );
  return {
    accept: (events) => buffer.accept(events),
    async claimTimes(claims) {
      try {
        return await claimTimes(sqlOf(orm), claims);
      } catch (error) {
        throw new StoreUnavailable('PostgreSQL is unavailable', { cause: error });
      }
    },
    load: () => buffer.load(),
    async stop() {
      await buffer.stop();
      await waker.idle();
    },
  };
}
