import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Event } from '../domain/events/event.ts';

/**
 * Converts an event into what a careful sender sends: with id and time, so that it can safely be sent again.
 */
export function asSent({ occurred_at, ...event }: Event): Record<string, unknown> {
  return { ...event, timestamp: new Date(occurred_at).toISOString() };
}

/** Makes the bodies for POST /events beforehand, so that only the server is measured. */
export function bodiesOf(events: readonly Event[], size: number): Buffer[] {
  const bodies: Buffer[] = [];
  for (let from = 0; from < events.length; from += size) {
    bodies.push(Buffer.from(JSON.stringify(events.slice(from, from + size).map(asSent))));
  }
  return bodies;
}

/** Senders on loopback with open connections. */
export class Senders {
  readonly #agent: Agent;
  readonly #url: URL;

  constructor(baseUrl: string, connections: number) {
    this.#url = new URL('/events', baseUrl);
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** Sends one request. Resolves to the status and body of its answer. */
  post(body: Buffer): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      const sent = request(this.#url, { agent: this.#agent, method: 'POST', headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
        response.on('error', reject);
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /**
   * Sends bodies of `size` new events each, as fast as they are answered. All must be stored. @returns events
   * per second
   */
  async rate(bodies: readonly Buffer[], size: number): Promise<number> {
    const left = [...bodies];
    const since = performance.now();
    const send = async () => {
      for (let body = left.pop(); body; body = left.pop()) expectStored(await this.post(body), size);
    };
    await Promise.all(Array.from({ length: this.#agent.maxSockets }, send));
    return (bodies.length * size * 1000) / (performance.now() - since);
  }

  close(): void {
    this.#agent.destroy();
  }
}

function expectStored({ status, text }: { status: number; text: string }, size: number): void {
  if (status !== 200 || !text.startsWith(`{"stored":${size},`)) {
    throw new Error(`a batch was answered ${status}: ${text.slice(0, 300)}`);
  }
}

/**
 * Sends batches at a steady rate until it is stopped. Time that the server loses is not made up for. @returns
 * a function that stops it and resolves to the number of events sent
 */
export function steadily(
  senders: Senders,
  perSecond: number,
  make: (count: number) => Event[],
): () => Promise<number> {
  const PER_BATCH = 50;
  const everyMs = (1000 * PER_BATCH) / perSecond;
  let stopped = false;
  let sent = 0;
  const running = (async () => {
    const begun = performance.now();
    for (let n = 1; !stopped; n++) {
      const [body] = bodiesOf(make(PER_BATCH), PER_BATCH);
      expectStored(await senders.post(body!), PER_BATCH);
      sent += PER_BATCH;
      await sleep(Math.max(0, begun + n * everyMs - performance.now()));
    }
  })();
  // The caller gets an error when it stops the load. Until then the rejection must not end the process.
  running.catch(() => {});
  return async () => {
    stopped = true;
    await running;
    return sent;
  };
}
