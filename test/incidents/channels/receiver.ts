import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How a receiver answers one request. `hang`: it never answers. */
export type Reply = { status?: number; headers?: Record<string, string>; body?: string; hang?: boolean };
export type Received = { headers: IncomingHttpHeaders; body: string; path: string };

/**
 * A local HTTP server that records requests. `reply` gets the request and its number, from 0, and returns the
 * answer.
 */
export async function receiver(reply: (request: Received, number: number) => Reply = () => ({})) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const it = { headers: request.headers, body, path: request.url ?? '' };
    const { status = 200, headers = {}, body: answer = '', hang } = reply(it, received.length);
    received.push(it);
    if (!hang) response.writeHead(status, headers).end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/secret-path-T0123`,
    received,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
export type Receiver = Awaited<ReturnType<typeof receiver>>;
