import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * A proxy to a server on this machine that can swallow the traffic of its current connections. New
 * connections work.
 */
export interface BlackHole {
  port: number;
  /** How many connections were made. */
  made(): number;
  /** The clients' ports of the current connections. */
  ports(): number[];
  /**
   * From now on nothing passes through the current connections, and none of them is closed. @param direction
   * `answers`: only what the server sends is lost
   */
  swallow(direction?: 'both' | 'answers'): void;
  /** From now on new connections are accepted, but nothing passes through them. */
  swallowNew(): void;
  close(): Promise<void>;
}

interface Through {
  client: Socket;
  server: Socket;
  swallows: 'nothing' | 'both' | 'answers';
}

/** @param host the address on which the proxy listens */
export async function blackHole(port: number, host = '127.0.0.1'): Promise<BlackHole> {
  const connections = new Set<Through>();
  let made = 0;
  let swallowsNew = false;
  const proxy = createServer((client) => {
    made += 1;
    const server = connect(port, '127.0.0.1');
    const through: Through = { client, server, swallows: swallowsNew ? 'both' : 'nothing' };
    connections.add(through);
    client.on('data', (chunk) => {
      if (through.swallows !== 'both') server.write(chunk);
    });
    server.on('data', (chunk) => {
      if (through.swallows === 'nothing') client.write(chunk);
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on('error', () => {});
      socket.on('close', () => {
        if (through.swallows === 'nothing') other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, host, resolve));
  return {
    port: (proxy.address() as AddressInfo).port,
    made: () => made,
    ports: () => [...connections].flatMap(({ client }) => client.remotePort ?? []),
    swallow(direction = 'both') {
      for (const through of connections) through.swallows = direction;
    },
    swallowNew() {
      swallowsNew = true;
    },
    async close() {
      for (const { client, server } of connections) {
        client.destroy();
        server.destroy();
      }
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
