import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';

/** How much of an unwanted body is still read after the answer, in bytes and milliseconds. */
const MOST_UNREAD = 1 << 20;
const LINGER_MS = 10_000;

/**
 * Reads on for a while after an early answer (too large, no key, too many requests). If the connection closed
 * at once, a sender that is still sending would not get the answer. What it reads is thrown away.
 */
export const unread: Middleware = async ({ req }, next) => {
  await next();
  // This must start before the answer is sent. Afterwards Node discards the rest itself, without a limit.
  if (!req.complete) linger(req);
};

function linger(request: IncomingMessage): void {
  const { socket } = request;
  let size = 0;
  const patience = setTimeout(() => socket.destroy(), LINGER_MS);
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > MOST_UNREAD) socket.destroy();
  });
  // The connection outlives the request: a client that has sent all of it may send another.
  for (const ended of ['end', 'close']) request.once(ended, () => clearTimeout(patience));
  request.resume();
}
