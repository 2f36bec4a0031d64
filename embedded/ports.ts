import { createServer } from 'node:net';
import { StartupError } from './startup-error.ts';

/** A TCP port on loopback that nobody listens on just now. */
export async function freePort(): Promise<number> {
  return (await listenOn(0))!;
}

/** True if a server could listen on 127.0.0.1:`port` now. */
export async function isFree(port: number): Promise<boolean> {
  return (await listenOn(port)) !== undefined;
}

/**
 * Makes sure that `port` can be listened on. Throws StartupError naming `what` wanted it and `remedy`, what to do.
 */
export async function requireFree(port: number, what: string, remedy: string): Promise<void> {
  if (!(await isFree(port))) throw new StartupError(portTaken(port, what, remedy));
}

/** The sentence for a port that somebody else listens on. */
export function portTaken(port: number, what: string, remedy: string): string {
  return `Port ${port}, wanted for ${what}, is taken by another program: ${remedy}.`;
}

function listenOn(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
    });
  });
}
