import type { Socket } from 'node:net';
import pg from 'pg';

/** A connection that owes an answer and has sent nothing for this long is checked, in milliseconds. */
const SILENT_MS = 3_000;
/** How long the check may take, in milliseconds. After that PostgreSQL counts as unreachable. */
const ASK_WITHIN_MS = 3_000;
/** Pause between two checks, in milliseconds. */
const LOOK_EVERY_MS = 1_000;
/**
 * If PostgreSQL accepts a connection but nobody can log in, it is overloaded, or the network drops
 * everything. Then connections count as dead only after this silence, in milliseconds. Cutting healthy ones
 * earlier would send their work again to a server that is overloaded already.
 */
const OVERLOADED_MS = 30_000;
/** What PostgreSQL reports about a backend. */
type Backend = 'working' | 'not working' | 'overloaded' | 'unknown';

interface Watched {
  /** How many queries wait for an answer. */
  owed: number;
  bytes: number;
  /** When the last byte arrived, or the first query was sent, by `performance.now()`. */
  heardAt: number;
  /**
   * True if PostgreSQL reported once that it does not work for this connection: the answer is on its way, or
   * lost.
   */
  accused: boolean;
}

/**
 * Closes connections whose peer has vanished without closing them, for example after a power failure. TCP
 * alone needs a quarter of an hour to notice that. A time limit cannot tell a dead connection from a long
 * query. So this class asks PostgreSQL, over a new connection, whether it works for the silent one. If it
 * does not, or cannot be reached, twice in a row, the silent connection is closed. Its queries then fail, and
 * the work is repeated on another connection.
 */
export class Liveness {
  readonly #url: string;
  readonly #watched = new Map<pg.PoolClient, Watched>();
  #timer: NodeJS.Timeout | undefined;
  #asking = false;

  /** @param url the URL that the pool connects to */
  constructor(url: string) {
    this.#url = url;
  }

  /** Starts watching the connections of a pool. */
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
      // A cursor fetches rows in portions. Between two fetches no answer is owed, so it is not watched.
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

  /** Closes connections that PostgreSQL did not work for, twice in a row, without a byte in between. */
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

/** Asks PostgreSQL what it does for these connections. If it cannot be asked, it works for none of them. */
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
    // A connection pooler reports process numbers of its own. Then nothing is known about the backends.
    const direct = rows.some(({ pid, state }) => state === 'asking' && pid === pidOf(asking));
    // Nobody waits for the connection to close.
    void asking.end().catch(() => {});
    const working = new Set(
      rows.flatMap(({ pid, state, waits }) => (state === 'active' && waits !== 'Client' ? [pid] : [])),
    );
    // If `track_activities` is off, PostgreSQL does not report what a backend does.
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
    // PostgreSQL answers, but has no free connection. Nothing is known then.
    const { code } = error as { code?: string };
    if (code === '53300') return () => 'unknown';
    // An error with a code comes from a PostgreSQL that is starting or stopping. It works for none of the old
    // connections.
    return () => (accepted && code === undefined ? 'overloaded' : 'not working');
  }
}

const bytesOf = (client: pg.PoolClient) => (client.connection.stream as Socket).bytesRead;

const pidOf = (client: object) => (client as { processID?: number }).processID;
