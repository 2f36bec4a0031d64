import { once } from 'node:events';
import { createServer } from 'node:net';

/** Finds a free TCP port on loopback. Another program may take it before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('loopback has no port to listen on');
  return address.port;
}
