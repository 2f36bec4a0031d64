import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Event } from '../domain/events/event.ts';

/** An event as a careful sender gives it: with the id and the time that make it safe to send again. */
export function asSent({ occurred_at, ...event }: Event): Record<string, unknown> {
  return { ...event, timestamp: new Date(occurred_at).toISOString() };
}

/** Bodies of POST /events, serialised beforehand: what is measured is the server. */
export function bodiesOf(events: readonly Event[], size: number): Buffer[] {
  const bodies: Buffer[] = [];
  for (let from = 0; from < events.length; from += size) {
    bodies.push(Buffer.from(JSON.stringify(events.slice(from, from + size).map(asSent))));
  }
  return bodies;
}

/** Senders on loopback that keep their connections. */
export class Senders {
  readonly #agent: Agent;
  readonly #url: URL;

  constructor(baseUrl: string, connections: number) {
    this.#url = new URL('/events', baseUrl);
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** One request; resolves to its answer's status and body. */
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
   * Sends bodies of `size` new events each, as fast as they are answered, each of which must be stored.
   * @returns events a second
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
 * Background load: batches at a steady pace until it is stopped. What the server is late for is not made up
 * for.
 * @returns a function that ends it and resolves to the number of events sent
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
  // Whoever stops it hears of what went wrong; until then it must not end the process.
  running.catch(() => {});
  return async () => {
    stopped = true;
    await running;
    return sent;
  };
}
