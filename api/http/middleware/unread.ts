import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';

/** What is still read of a body that nobody wants, after the answer to it: bytes and milliseconds. */
const MOST_UNREAD = 1 << 20;
const LINGER_MS = 10_000;

/**
 * Answers given before a body has come (too large, no key, too many) must reach senders who are still busy
 * sending: closing on them at once would take the answer away with it. So the rest is thrown away as it
 * comes, but only so much of it.
 */
export const unread: Middleware = async ({ req }, next) => {
  await next();
  // Before the answer is sent: once it is, Node throws the rest away itself, without an end and without being
  // seen.
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
  // The connection outlives the request: whoever sent it whole may send another.
  for (const ended of ['end', 'close']) request.once(ended, () => clearTimeout(patience));
  request.resume();
}
