import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Received, Receiver } from '../incidents/channels/receiver.ts';

export interface GatedReceiver extends Receiver {
  /** Keeps answers back until the function that it returns is called. */
  hold(): () => void;
  /** Requests that wait for their answer. */
  waiting(): number;
}

/** A webhook that is there, keeps what it was sent, and answers 200, when it is let. */
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
