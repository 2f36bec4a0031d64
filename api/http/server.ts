import { createServer, type RequestListener, type Server } from 'node:http';

/**
 * How long a connection may stay idle during an answer, in milliseconds; then it is closed. A client that
 * stops reading would otherwise keep its answer in memory. Slow answers avoid it by sending something: event
 * streams send a comment every 15 s.
 */
export const STALLED_MS = 60_000;

/** Creates the HTTP server of the API, with its time limits. */
export function apiServer(
  listener: RequestListener,
  { keepAliveMs, stalledMs = STALLED_MS }: { keepAliveMs: number; stalledMs?: number | undefined },
): Server {
  // Requests have no time limit, because streams may last for days and bodies have their own limit
  // (api/http/body). The limit for headers is long, because an overloaded process may read headers late that
  // arrived in time.
  const timeouts = { requestTimeout: 0, headersTimeout: 30_000, connectionsCheckingInterval: 5_000 };
  // The longest query that the routes accept, with every character escaped in up to twelve characters.
  const server = createServer(
    { ...timeouts, keepAliveTimeout: keepAliveMs, maxHeaderSize: 64 << 10 },
    listener,
  );
  server.timeout = stalledMs;
  return server;
}
