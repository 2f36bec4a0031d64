import { pino } from 'pino';
import { AppendConnections } from '../../db/connections/append-connections.ts';
import { connect } from '../../db/orm.ts';
import { Append } from '../../ingest/append/append.ts';
import { Buffer } from '../../ingest/append/buffer.ts';
import { anEvent } from './engine.ts';

/**
 * Stores events one after the other until it is killed, like an API process, and writes `stored` or `failed`
 * for each.
 */
const orm = await connect(process.env.DATABASE_URL!, 2);
const log = pino({ level: 'silent' });
const append = new Append({ orm, connections: new AppendConnections(orm, 2), clock: Date.now, log });
const limits = { bufferEvents: 100, appendEvents: 100, appendsInFlight: 2, besideEvents: 1 };
const buffer = new Buffer(
  (events) => append.run(events),
  () => {},
  limits,
);

async function sendForEver(): Promise<never> {
  for (;;) {
    const event = anEvent({ occurred_at: Date.now() });
    for (let stored = false; !stored; ) {
      stored = await buffer.accept([event]).then(
        () => true,
        () => false,
      );
      process.stdout.write(stored ? 'stored\n' : 'failed\n');
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

await Promise.all([sendForEver(), sendForEver()]);
