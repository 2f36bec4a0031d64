import { createServer, type RequestListener, type Server } from 'node:http';

/**
 * A connection on which nothing moved for so long is closed, in milliseconds: a client that takes nothing of
 * its answer holds what was made of it. Whatever takes longer says so in between: streams of events send a
 * comment every 15 s.
 */
export const STALLED_MS = 60_000;

/**
 * Longer than load balancers keep theirs: they answer 502 for what they send into a connection that closes.
 */
const KEEP_ALIVE_MS = 75_000;

/** The HTTP server that the API listens with, and its time limits. */
export function apiServer(
  listener: RequestListener,
  {
    stalledMs = STALLED_MS,
    keepAliveMs = KEEP_ALIVE_MS,
  }: { stalledMs?: number | undefined; keepAliveMs?: number } = {},
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
