import { createServer, type RequestListener, type Server } from 'node:http';

/**
 * A connection on which nothing moved for so long is closed, in milliseconds: a client that takes nothing of
 * its answer holds what was made of it. Whatever takes longer says so in between: streams of events send a
 * comment every 15 s.
 */
export const STALLED_MS = 60_000;

/** The HTTP server that the API listens with, and its time limits. */
export function apiServer(
  listener: RequestListener,
  { keepAliveMs, stalledMs = STALLED_MS }: { keepAliveMs: number; stalledMs?: number | undefined },
): Server {
  // A stream of events takes as long as it takes; bodies have a patience of their own (api/body).
  // Headers may be here and not read yet: an overloaded process must not take its own lateness for the
  // sender's.
  const timeouts = { requestTimeout: 0, headersTimeout: 30_000, connectionsCheckingInterval: 5_000 };
  // The longest query that the routes take, each character of it escaped in up to twelve.
  const server = createServer(
    { ...timeouts, keepAliveTimeout: keepAliveMs, maxHeaderSize: 64 << 10 },
    listener,
  );
  server.timeout = stalledMs;
  return server;
}
