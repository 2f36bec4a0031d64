import { createServer, type ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Health } from './health.ts';

export interface Served {
  host: string;
  port: number;
  log: Logger;
  health: Health;
  /** Reads the SDK's metrics, in the same format. It never rejects. */
  sdk: () => Promise<string>;
}

/** Serves `GET /metrics`, `/livez` and `/readyz` of a worker. @throws when the port is taken */
export async function serveMetrics(
  registry: Registry,
  { host, port, log, health, sdk }: Served,
): Promise<{ port: number; close(): Promise<void> }> {
  const probe = (response: ServerResponse, reason: string | null) =>
    response.writeHead(reason === null ? 200 : 503, { 'Content-Type': 'text/plain' }).end(reason ?? 'ok');
  const paths: Record<string, (response: ServerResponse) => void> = {
    '/livez': (response) => probe(response, health.live()),
    '/readyz': (response) => probe(response, health.ready()),
    '/metrics': (response) => {
      // The SDK's metrics are read first, because one of our metrics says whether that worked.
      const text = sdk().then(async (theirs) => (await registry.metrics()) + theirs);
      text.then(
        (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
        (error: unknown) => {
          log.error({ err: error }, 'could not collect metrics');
          response.writeHead(500).end();
        },
      );
    },
  };
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    const answer = Object.hasOwn(paths, path) && request.method === 'GET' ? paths[path] : undefined;
    if (answer) answer(response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(`metrics can't be served on ${host}:${port}: ${error.code}`, { cause: error })),
    );
    server.listen(port, host, resolve);
  });
  const address = server.address();
  const bound = typeof address === 'object' && address ? address.port : port;
  log.info({ host, port: bound }, `metrics on http://${host}:${bound}/metrics`);
  return {
    port: bound,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
