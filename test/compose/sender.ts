import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

/** Sends events continuously, and repeats each one until it is answered, like a sender that loses nothing. */
export class Sender {
  /** Ids of events that were answered as stored, now or before. */
  readonly answered = new Set<string>();
  #going = true;
  readonly #ended: Promise<unknown>;

  constructor(url: string, key: string, type: string) {
    const one = async () => {
      while (this.#going) {
        const event = { event_id: randomUUID(), source_id: 'sender', severity: 'low', event_type: type };
        while (this.#going && !(await send(url, key, event))) await sleep(100);
        await sleep(50);
      }
    };
    const send = async (to: string, bearer: string, event: { event_id: string }) => {
      try {
        const response = await fetch(`${to}/events`, {
          method: 'POST',
          headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
          body: JSON.stringify(event),
          signal: AbortSignal.timeout(10_000),
        });
        await response.text();
        if (response.ok) this.answered.add(event.event_id);
        return response.ok;
      } catch {
        return false;
      }
    };
    this.#ended = Promise.all([one(), one()]);
  }

  async stop(): Promise<void> {
    this.#going = false;
    await this.#ended;
  }
}
