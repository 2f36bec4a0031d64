import { isFree } from '../../embedded/ports.ts';

/** How many ports each process has that runs tests at the same time (`mocha --parallel`, at most four). */
const COUNT = 3_000;
const FIRST = 20_000 + (Number(process.env.MOCHA_WORKER_ID ?? 0) % 4) * COUNT;
const given = new Set<number>();

/**
 * Finds free ports, each only once, below the range of outgoing connections. A client that retries while its
 * server is down could otherwise get that very port for its own end, connect to itself, and block the port.
 */
export async function steadyPorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    ports.push(port);
  }
  return ports;
}

export async function steadyPort(): Promise<number> {
  const [port] = await steadyPorts(1);
  return port!;
}
