import { setTimeout as sleep } from 'node:timers/promises';
import { v5 as uuidv5 } from 'uuid';
import type { ProducerStatus } from '../../workflows/messages.ts';
import type { System } from './system.ts';
import { waitFor } from './wait-for.ts';

const NAMESPACE = 'c5b8a0de-7a52-4a36-9bb1-3f4a2f6f6f10';

/** Creates a rule through the API, and waits until it is judged. Resolves to its id. */
export async function makeRule(system: System, rule: Record<string, unknown>): Promise<string> {
  const made = await expectStatus<{ id: string }>(201, system.call('POST', '/alerts', rule));
  await waitFor(async () => (await system.call<{ ready: boolean }>('GET', `/alerts/${made.id}`)).body.ready, {
    what: `rule ${made.id} to be ready`,
    timeoutMs: 60_000,
  });
  return made.id;
}

/** An event of a type that happened at `at` (epoch ms), in the form of POST /internal/events. */
export function eventAt(type: string, at: number, n: number) {
  return {
    event_id: uuidv5(`${type} ${at} ${n}`, NAMESPACE),
    source_id: `sender-${n % 16}`,
    timestamp: new Date(at).toISOString(),
    severity: 'high',
    event_type: type,
    payload: { n },
  };
}

/**
 * Sends an event for each of `times` (epoch ms), in order, with so many senders at once. All must be stored.
 */
export async function sendBurst(
  system: System,
  type: string,
  times: readonly number[],
  senders = 16,
): Promise<void> {
  const left = times.map((at, n) => eventAt(type, at, n));
  const send = async () => {
    for (let event = left.shift(); event; event = left.shift()) {
      await expectStatus(201, system.call('POST', '/internal/events', event));
    }
  };
  await Promise.all(Array.from({ length: senders }, send));
}

/** Creates simulated producers, which start at once. */
export async function makeProducers(
  system: System,
  producers: readonly { id: string; settings: Record<string, unknown> }[],
): Promise<void> {
  for (const producer of producers) {
    await expectStatus(201, system.call('POST', '/producers', { ...producer, kind: 'simulated' }));
  }
}

export type Status = Omit<ProducerStatus, 'next_tick_at'> & { next_tick_at: string };

/** The status of a producer's workflow; throws while the workflow cannot be queried. */
export async function statusOf(system: System, id: string): Promise<Status> {
  const { body } = await system.call<{ status: Status | null }>('GET', `/producers/${id}`);
  if (!body.status) throw new Error(`the workflow of ${id} does not answer: ${JSON.stringify(body)}`);
  return body.status;
}

/** How long the next tick of a producer has been overdue, in milliseconds. */
export const overdue = ({ next_tick_at }: Status) => Date.now() - Date.parse(next_tick_at);

/** Waits until all events that the producers had to emit up to now are stored. */
export async function caughtUp(system: System, ids: readonly string[]): Promise<void> {
  await forEach(ids, 'producers to have caught up', async (id) => {
    const { body } = await system.call<{ appended_through: string }>('GET', `/producers/${id}`);
    return Date.now() - Date.parse(body.appended_through) < 2_500;
  });
}

/** Waits until the producers have caught up, pauses them, and waits for their last batches. */
export async function pauseProducers(system: System, ids: readonly string[]): Promise<void> {
  await caughtUp(system, ids);
  for (const id of ids) await expectStatus(200, system.call('POST', `/producers/${id}/pause`, {}));
  await forEach(
    ids,
    'the last batches to be stored',
    async (id) => (await statusOf(system, id)).in_flight === 0,
  );
}

async function forEach(ids: readonly string[], what: string, condition: (id: string) => Promise<boolean>) {
  await waitFor(async () => (await Promise.all(ids.map(condition))).every(Boolean), {
    ...{ what, timeoutMs: 120_000, everyMs: 250 },
  });
}

/** The body of an answer, which must have this status. */
export async function expectStatus<T>(
  status: number,
  answer: Promise<{ status: number; body: T }>,
): Promise<T> {
  const given = await answer;
  if (given.status !== status) {
    throw new Error(`answered ${given.status} instead of ${status}: ${JSON.stringify(given.body)}`);
  }
  return given.body;
}

/**
 * A sender with an event every `everyMs`, which repeats each one until it is stored. Events that happened
 * while the API was down are sent later with their own times. `stop` resolves to the number of events when
 * all are stored.
 */
export function insistentSender(system: System, type: string, everyMs: number) {
  const queue: ReturnType<typeof eventAt>[] = [];
  let made = 0;
  let silent = false;
  let stopped = false;
  const timer = setInterval(() => queue.push(eventAt(type, Date.now(), made++)), everyMs);
  timer.unref();
  const send = async () => {
    // If a test fails, it stops the system but not its senders.
    while (!system.stopped && (!stopped || queue.length > 0)) {
      const event = silent ? undefined : queue.shift();
      const answer = event && (await system.call('POST', '/internal/events', event).catch(() => undefined));
      if (event && ![200, 201].includes(answer?.status ?? 0)) queue.unshift(event);
      if (!answer || answer.status > 201) await sleep(everyMs);
    }
  };
  const senders = Promise.all(Array.from({ length: 4 }, send));
  return {
    /** Holds events back, or no longer. */
    silence(on: boolean): void {
      silent = on;
    },
    async stop(): Promise<number> {
      clearInterval(timer);
      stopped = true;
      await senders;
      return made;
    },
  };
}
