import { createServer } from 'node:net';
import { StartupError } from './startup-error.ts';

/**
 * Says whether a server could listen on `port` of `host` now. It returns false if the port is taken or
 * forbidden.
 */
export async function isFree(port: number, host?: string): Promise<boolean> {
  return (await listenOn(port, host)) !== undefined;
}

/**
 * Checks that `port` can be listened on, at `host` or else at 127.0.0.1.
 * @throws StartupError that says what needs the port (`what`) and what to do (`remedy`)
 */
export async function requireFree(port: number, what: string, remedy: string, host?: string): Promise<void> {
  if (!(await isFree(port, host))) throw new StartupError(portTaken(port, what, remedy));
}

/** The error for a port that another program listens on. */
export function portTaken(port: number, what: string, remedy: string): string {
  return `Port ${port}, wanted for ${what}, is taken by another program: ${remedy}.`;
}

function listenOn(port: number, host = '127.0.0.1'): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      // An error about the address, such as one that this machine does not have, says nothing about the port.
      resolve(code === 'EADDRINUSE' || code === 'EACCES' ? undefined : port);
    });
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
    });
  });
}
