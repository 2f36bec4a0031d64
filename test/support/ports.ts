import { isFree } from '../../embedded/ports.ts';

/**
 * Ports of this process alone among those that run tests at the same time (`mocha --parallel`, at most four).
 */
const COUNT = 3_000;
const FIRST = 20_000 + (Number(process.env.MOCHA_WORKER_ID ?? 0) % 4) * COUNT;
const given = new Set<number>();

/**
 * Free ports, each given only once, below those that outgoing connections are given: a client that keeps
 * trying while its server is away could otherwise be given that very port, be connected to itself, and hold
 * it.
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
