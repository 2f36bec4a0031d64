import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../embedded/postgres/postgres.ts';
import { remember } from '../../embedded/processes/orphans.ts';
import { type Exit, signalTo, within } from '../../embedded/processes/process.ts';
import { startTemporal } from '../../embedded/temporal/temporal.ts';
import { buildWorkflows } from '../../workers/workflow-bundle.ts';
import { steadyPorts } from './ports.ts';
import { type Role, spawnRole } from './processes.ts';
import { temporaryDirectory } from './temporary.ts';
import { waitFor } from './wait-for.ts';

export const ROLES = ['api', 'ingest', 'rules', 'incidents', 'notify'] as const;
export type RoleName = (typeof ROLES)[number];
export type PartName = 'postgres' | 'temporal' | RoleName;

type Ports = Record<'postgres' | 'temporal' | 'api', number>;
type Part = { pid: number; exited: Promise<Exit>; output?: () => string };

const silence = () => {};
const READY = /"(worker ready|listening on [^"]*)"/;

/**
 * The product as in production, on its own servers. Each part is a process that can be killed and started
 * again in the same place. What PostgreSQL acknowledged survives `kill -9`, and Temporal stores its workflows
 * in a file.
 */
export class System {
  readonly #dir = temporaryDirectory();
  readonly #env: Record<string, string>;
  readonly #ports: Ports;
  readonly #parts = new Map<PartName, Part>();
  readonly #ended: Part[] = [];
  #databaseUrl = '';
  /** True after the system was stopped for good. */
  stopped = false;

  private constructor(ports: Ports, env: Record<string, string>) {
    this.#ports = ports;
    this.#env = env;
    process.once('exit', this.#killAll);
  }

  /**
   * Starts migrated servers and the processes of `roles`, and waits until they are ready. `env` is added to
   * that of each process.
   */
  static async start(roles: readonly RoleName[] = ROLES, env: Record<string, string> = {}): Promise<System> {
    const [postgres, temporal, api] = await steadyPorts(3);
    const system = new System({ postgres: postgres!, temporal: temporal!, api: api! }, env);
    try {
      const bundle = workflowBundle();
      await Promise.all([system.start('postgres').then(() => system.#migrate()), system.start('temporal')]);
      system.#env.WORKFLOW_BUNDLE ??= await bundle;
      await Promise.all(roles.map((role) => system.start(role)));
      return system;
    } catch (error) {
      await system.stop();
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#ports.api}`;
  }

  get databaseUrl(): string {
    return this.#databaseUrl;
  }

  get temporalAddress(): string {
    return `127.0.0.1:${this.#ports.temporal}`;
  }

  runs(name: PartName): boolean {
    return this.#parts.has(name);
  }

  /** The process number of a running part. */
  pid(name: PartName): number {
    return this.#parts.get(name)!.pid;
  }

  /** Starts a part in the same place as before; resolves when it is ready. */
  async start(name: PartName): Promise<void> {
    const part = await this.#launch(name);
    this.#parts.set(name, part);
    if (name === 'postgres' || name === 'temporal') remember(join(this.#dir, 'run'), name, part.pid);
    else await ready(name, part as Role);
  }

  /** Kills a part (kill -9); resolves when it is gone. */
  async kill(name: PartName): Promise<void> {
    await this.#end(name, 'SIGKILL');
  }

  /**
   * Sends SIGTERM; resolves when the process has noticed it. `exited` then says how it ended, and after how
   * many milliseconds.
   */
  async terminate(name: RoleName): Promise<{ exited: Promise<Exit & { ms: number }> }> {
    const since = performance.now();
    const { output } = this.#parts.get(name) as Role;
    let ended = false;
    const exited = this.#end(name, 'SIGTERM').then((exit) => {
      ended = true;
      return { ...exit, ms: Math.round(performance.now() - since) };
    });
    await waitFor(() => ended || /"stopping: /.test(output()), { what: `${name} to hear that it must end` });
    return { exited };
  }

  async restart(name: PartName): Promise<void> {
    await this.kill(name);
    await this.start(name);
  }

  /** Sends one request to the API. */
  async call<T = unknown>(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: T }> {
    const headers = { 'content-type': 'application/json', 'x-ingest-token': 'local-token' };
    const sent = { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
    const response = await fetch(this.url + path, { ...sent, signal: AbortSignal.timeout(30_000) });
    const text = await response.text();
    return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as T };
  }

  /** The rows of a query on PostgreSQL, with a connection of its own. */
  async query<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return this.connected(async (client) => (await client.query<Row>(sql, values)).rows);
  }

  /** Runs `work` with a connection to PostgreSQL that ends afterwards. */
  async connected<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const connectionString = this.#databaseUrl;
    const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5_000 });
    client.on('error', silence);
    try {
      await client.connect();
      return await work(client);
    } finally {
      await client.end().catch(silence);
    }
  }

  /** The last warnings of each process, for people who investigate a failed test. */
  complaints(): string {
    return [...this.#ended, ...this.#parts.values()]
      .flatMap(
        ({ output }) =>
          output?.()
            .split('\n')
            .filter((line) => !/"level":[123]0/.test(line))
            .slice(-15) ?? [],
      )
      .map((line) => line.slice(0, 600))
      .join('\n');
  }

  /** Kills everything, because nothing is kept. Only PostgreSQL shuts down, to free its shared memory. */
  async stop(): Promise<void> {
    this.stopped = true;
    const parts = [...this.#parts];
    for (const [name, { pid }] of parts) signalTo(pid, name === 'postgres' ? 'SIGQUIT' : 'SIGKILL');
    await within(10_000, Promise.all(parts.map(([, { exited }]) => exited)));
    this.#killAll();
    process.removeListener('exit', this.#killAll);
  }

  readonly #killAll = (): void => {
    for (const { pid } of this.#parts.values()) signalTo(pid, 'SIGKILL');
  };

  async #end(name: PartName, signal: NodeJS.Signals): Promise<Exit> {
    const part = this.#parts.get(name)!;
    this.#parts.delete(name);
    this.#ended.push(part);
    signalTo(part.pid, signal);
    return part.exited;
  }

  async #launch(name: PartName): Promise<Part> {
    const dir = this.#dir;
    if (name === 'postgres') {
      const postgres = await startPostgres({
        dataDir: join(dir, 'postgres'),
        port: this.#ports.postgres,
        log: silence,
      });
      this.#databaseUrl = postgres.url;
      return postgres;
    }
    if (name === 'temporal') {
      const files = { dbFile: join(dir, 'temporal', 'temporal.db'), logFile: join(dir, 'temporal.log') };
      return startTemporal({ ...files, namespace: 'default', port: this.#ports.temporal, log: silence });
    }
    if (name === 'api') return spawnRole('api/main.ts', [], this.#roleEnv());
    return spawnRole('workers/main.ts', [name], this.#roleEnv());
  }

  #roleEnv(): Record<string, string> {
    return {
      DATABASE_URL: this.#databaseUrl,
      TEMPORAL_ADDRESS: this.temporalAddress,
      PORT: String(this.#ports.api),
      ...this.#env,
    };
  }

  async #migrate(): Promise<void> {
    const migration = await spawnRole('db/migrate.ts', [], this.#roleEnv());
    const { code } = await migration.exited;
    if (code !== 0) throw new Error(`db/migrate.ts failed:\n${migration.output()}`);
  }
}

async function ready(name: PartName, { output, exited }: Role): Promise<void> {
  let ended = false;
  void exited.then(() => {
    ended = true;
  });
  const what = `${name} to be ready`;
  await waitFor(() => ended || READY.test(output()), { what, timeoutMs: 90_000 });
  if (ended) throw new Error(`${name} ended before it was ready:\n${output()}`);
}

let bundle: Promise<string> | undefined;

/** A file with the workflows' code, bundled once per test run. */
function workflowBundle(): Promise<string> {
  bundle ??= (async () => {
    const file = join(temporaryDirectory(), 'workflows.js');
    await buildWorkflows(file);
    return file;
  })();
  return bundle;
}
