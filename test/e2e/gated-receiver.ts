import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Received, Receiver } from '../incidents/channels/receiver.ts';

export interface GatedReceiver extends Receiver {
  /** Holds answers back until the returned function is called. */
  hold(): () => void;
  /** How many requests wait for their answer. */
  waiting(): number;
}

/** A webhook receiver that records requests and answers 200, when the test lets it. */
export async function gatedReceiver(): Promise<GatedReceiver> {
  const received: Received[] = [];
  let gate = Promise.resolve();
  let waiting = 0;
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    received.push({ headers: request.headers, body, path: request.url ?? '' });
    waiting++;
    await gate;
    waiting--;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    waiting: () => waiting,
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
