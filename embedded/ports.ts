import { createServer } from 'node:net';
import { StartupError } from './startup-error.ts';

/** A TCP port on loopback that nobody listens on just now. */
export async function freePort(): Promise<number> {
  return (await listenOn(0))!;
}

/** True unless a server that wanted to listen on `port` of `host` now would find it taken, or forbidden. */
export async function isFree(port: number, host?: string): Promise<boolean> {
  return (await listenOn(port, host)) !== undefined;
}

/**
 * Makes sure that `port` can be listened on, at `host` or else on 127.0.0.1. Throws StartupError naming
 * `what` wanted it and `remedy`, what to do.
 */
export async function requireFree(port: number, what: string, remedy: string, host?: string): Promise<void> {
  if (!(await isFree(port, host))) throw new StartupError(portTaken(port, what, remedy));
}

/** The sentence for a port that somebody else listens on. */
export function portTaken(port: number, what: string, remedy: string): string {
  return `Port ${port}, wanted for ${what}, is taken by another program: ${remedy}.`;
}

function listenOn(port: number, host = '127.0.0.1'): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      // An address that this machine doesn't have says nothing about the port.
      resolve(code === 'EADDRINUSE' || code === 'EACCES' ? undefined : port);
    });
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
    });
  });
}
