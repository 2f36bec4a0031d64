import type { Socket } from 'node:net';
import pg from 'pg';

/** A connection that has owed an answer for this long without a byte is asked after, in milliseconds. */
const SILENT_MS = 3_000;
/** How long the asking may take, in milliseconds; after that nobody is there. */
const ASK_WITHIN_MS = 3_000;
/** Between two looks, in milliseconds. */
const LOOK_EVERY_MS = 1_000;
/**
 * A PostgreSQL that accepts a connection and lets no one log in is overloaded, or the way to it swallows
 * everything. Connections that were silent for this long, in milliseconds, count as dead then: cutting
 * healthy ones earlier would send their work again to a server that has too much of it.
 */
const OVERLOADED_MS = 30_000;
/** What PostgreSQL says of a backend. */
type Backend = 'working' | 'not working' | 'overloaded' | 'unknown';

interface Watched {
  /** Queries whose answer is owed. */
  owed: number;
  bytes: number;
  /** When the last byte came, or the first query was sent, by `performance.now()`. */
  heardAt: number;
  /** PostgreSQL said that it does not work for this connection: the answer is on its way, or lost. */
  accused: boolean;
}

/**
 * Ends connections whose peer is gone without a word: a black hole on the way, a host that lost its power.
 * TCP alone takes a quarter of an hour to notice when something is unanswered, and a limit on time can't tell
 * a dead connection from a long query. So PostgreSQL is asked, on a new connection, whether it is at work for
 * the silent one. When it isn't, or can't be reached, twice in a row, the silent one is cut, its queries
 * fail, and their work is done again on another.
 */
export class Liveness {
  readonly #url: string;
  readonly #watched = new Map<pg.PoolClient, Watched>();
  #timer: NodeJS.Timeout | undefined;
  #asking = false;

  /** @param url where the pool connects to */
  constructor(url: string) {
    this.#url = url;
  }

  /** Watches a pool's connections from now on. */
  watch(pool: pg.Pool): void {
    pool.on('connect', (client) => this.#add(client));
    pool.on('remove', (client) => this.#watched.delete(client));
  }

  #add(client: pg.PoolClient): void {
    const watched: Watched = { owed: 0, bytes: 0, heardAt: 0, accused: false };
    this.#watched.set(client, watched);
    client.once('end', () => this.#watched.delete(client));
    const answered = () => {
      watched.owed -= 1;
    };
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((...args: unknown[]) => {
      const result = query(...args);
      // A cursor's rows are asked for one portion at a time: nothing is owed in between.
      if (!(result instanceof Promise)) return result;
      if (watched.owed === 0) {
        watched.heardAt = performance.now();
        watched.accused = false;
      }
      watched.owed += 1;
      result.then(answered, answered);
      this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
      return result;
    }) as pg.PoolClient['query'];
  }

  #look(): void {
    const now = performance.now();
    const silent: pg.PoolClient[] = [];
    let busy = 0;
    for (const [client, watched] of this.#watched) {
      if (watched.owed === 0) continue;
      busy += 1;
      const bytesRead = bytesOf(client);
      if (bytesRead !== watched.bytes) {
        Object.assign(watched, { bytes: bytesRead, heardAt: now, accused: false });
      } else if (now - watched.heardAt >= SILENT_MS) silent.push(client);
    }
    if (busy === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else if (silent.length > 0 && !this.#asking) {
      this.#asking = true;
      void this.#judge(silent).finally(() => {
        this.#asking = false;
      });
    }
  }

  /** Cuts those for which PostgreSQL was not at work twice in a row, with nothing heard in between. */
  async #judge(silent: readonly pg.PoolClient[]): Promise<void> {
    const heard = new Map(silent.map((client) => [client, bytesOf(client)]));
    const backends = await askFor(this.#url, silent);
    for (const client of silent) {
      const watched = this.#watched.get(client);
      if (!watched || watched.owed === 0) continue;
      if (bytesOf(client) !== heard.get(client)) continue;
      const backend = backends(client);
      const silentFor = performance.now() - watched.heardAt;
      const idle = backend === 'not working' || (backend === 'overloaded' && silentFor >= OVERLOADED_MS);
      if (idle && watched.accused) {
        client.connection.stream.destroy(
          new Error('Connection terminated: PostgreSQL does not answer on it any more'),
        );
      } else watched.accused = idle;
    }
  }
}

/** Asks PostgreSQL what it does for some connections. One that can't be asked works for nobody. */
async function askFor(
  url: string,
  clients: readonly pg.PoolClient[],
): Promise<(client: pg.PoolClient) => Backend> {
  const asking = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: ASK_WITHIN_MS,
    query_timeout: ASK_WITHIN_MS,
  });
  asking.on('error', () => {});
  let accepted = false;
  asking.connection.stream.once('connect', () => {
    accepted = true;
  });
  try {
    await asking.connect();
    const { rows } = await asking.query<{ pid: number; state: string | null; waits: string | null }>(
      `select pid, state, wait_event_type as waits from pg_stat_activity where pid = any($1::int[])
      union all select pg_backend_pid(), 'asking', null`,
      [clients.map(pidOf)],
    );
    // A pooler in between gives its own numbers: what is behind them can't be known.
    const direct = rows.some(({ pid, state }) => state === 'asking' && pid === pidOf(asking));
    // Nobody waits for it to end.
    void asking.end().catch(() => {});
    const working = new Set(
      rows.flatMap(({ pid, state, waits }) => (state === 'active' && waits !== 'Client' ? [pid] : [])),
    );
    // Where `track_activities` is off, nobody is told what a backend does.
    const untold = new Set(
      rows.flatMap(({ pid, state }) => (/^(disabled|)$/.test(state ?? '') ? [pid] : [])),
    );
    return (client) => {
      if (!direct) return 'unknown';
      const pid = pidOf(client)!;
      if (untold.has(pid)) return 'unknown';
      return working.has(pid) ? 'working' : 'not working';
    };
  } catch (error) {
    asking.connection.stream.destroy();
    // It answers, and has no place for one more: nothing is known.
    const { code } = error as { code?: string };
    if (code === '53300') return () => 'unknown';
    // An error with a code comes from a PostgreSQL that starts or stops: it works for no connection of
    // before.
    return () => (accepted && code === undefined ? 'overloaded' : 'not working');
  }
}

const bytesOf = (client: pg.PoolClient) => (client.connection.stream as Socket).bytesRead;

const pidOf = (client: object) => (client as { processID?: number }).processID;
