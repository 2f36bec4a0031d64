import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { requireFree } from './ports.ts';
import { type RunningPostgres, startPostgres } from './postgres/postgres.ts';
import { endOrphans, forget, remember, remembered } from './processes/orphans.ts';
import { endRemaining, type Log, refuseLaunches } from './processes/process.ts';
import { type Role, startRole } from './processes/role.ts';
import { type Running, type Supervised, supervise } from './processes/supervise.ts';
import type { Settings } from './settings.ts';
import { fileError, StartupError } from './startup-error.ts';
import { startTemporal } from './temporal/temporal.ts';

/** The order in which groups of processes stop. Each group stops once the one before has ended. */
const stopOrder = [['workers', 'api'], ['temporal'], ['postgres']];
const supervisor = 'supervisor';
const stopping = 'stopping';
/** How long a new start waits until an earlier one has stopped, in milliseconds. */
const handOverMs = 90_000;

/** The processes of one `npm start`. It starts them, restarts them, and stops them in order. */
export class System {
  readonly #supervised = new Map<string, Supervised<Running>>();
  readonly #settings: Settings;
  readonly #log: Log;
  #claimed = false;

  constructor(settings: Settings, log: Log) {
    this.#settings = settings;
    this.#log = log;
  }

  /**
   * Locks the data directory, and stops processes that a killed start left running. If another start is just
   * stopping, it waits for that.
   * @throws StartupError if another start uses the directory
   */
  async claim(): Promise<void> {
    const { runDir, dataDir } = this.#settings;
    const giveUp = Date.now() + handOverMs;
    for (
      let other = remembered(runDir, supervisor);
      other !== undefined;
      other = remembered(runDir, supervisor)
    ) {
      if (remembered(runDir, stopping) !== other || Date.now() > giveUp) {
        throw new StartupError(
          `Tocsin already runs on ${dataDir} (process ${other}): stop that one, or set DATA_DIR to another place.`,
        );
      }
      await sleep(100);
    }
    await endOrphans(runDir, stopOrder.flat(), this.#log);
    try {
      remember(runDir, supervisor, process.pid);
      this.#claimed = true;
    } catch (error) {
      throw fileError(dataDir, error);
    }
  }

  /** Starts the embedded PostgreSQL and returns its URL. If it must be restarted, it keeps its port. */
  async postgres(): Promise<string> {
    const { dataDir, pgPort } = this.#settings;
    const { current } = await this.#keep('postgres', (previous?: RunningPostgres) =>
      startPostgres({
        dataDir: join(dataDir, 'postgres'),
        port: previous?.port ?? pgPort,
        preferredPort: 5433,
        log: this.#log,
      }),
    );
    return current().url;
  }

  /** Starts Temporal's dev server and returns its address and that of its Web UI. */
  async temporal(): Promise<{ address: string; uiUrl?: string }> {
    const { dataDir, temporalPort, uiPort, ui, namespace } = this.#settings;
    const { current } = await this.#keep('temporal', () =>
      startTemporal({
        dbFile: join(dataDir, 'temporal', 'temporal.db'),
        port: temporalPort,
        ...(ui === 'off' ? {} : { uiPort, uiMode: ui }),
        namespace,
        logFile: join(dataDir, 'logs', 'temporal.log'),
        log: this.#log,
      }),
    );
    return current();
  }

  /** Runs a script of the project as `name`, and restarts it whenever it ends. */
  async role(
    name: string,
    args: string[],
    env: NodeJS.ProcessEnv,
  ): Promise<{ current(): Role; logFile: string }> {
    const logFile = join(this.#settings.dataDir, 'logs', `${name}.log`);
    const { current } = await this.#keep(name, () => startRole({ name, args, env, logFile, log: this.#log }));
    return { current, logFile };
  }

  /** Checks that the ports of the API and the UI are free. @throws StartupError if one is taken */
  async requirePorts(): Promise<void> {
    const { apiPort, apiHost } = this.#settings;
    await requireFree(apiPort, 'the API', 'stop that one, or set PORT', apiHost);
  }

  /** Stops everything in order, even if the start was not complete. */
  async stop(): Promise<void> {
    refuseLaunches();
    if (this.#claimed) this.#noteStopping();
    for (const group of stopOrder) {
      const running = group.flatMap((name) => this.#supervised.get(name) ?? []);
      await Promise.all(running.map((each) => each.stop()));
    }
    await endRemaining();
    if (this.#claimed) for (const name of [stopping, supervisor]) forget(this.#settings.runDir, name);
  }

  /**
   * Records that this start is stopping, so that the next one waits. If the record cannot be written because
   * the disk is full, the next start gives up at once instead.
   */
  #noteStopping(): void {
    try {
      remember(this.#settings.runDir, stopping, process.pid);
    } catch (error) {
      this.#log(`The stop could not be noted: ${error instanceof Error ? error.message : error}`);
    }
  }

  async #keep<T extends Running>(name: string, start: (previous?: T) => Promise<T>): Promise<Supervised<T>> {
    const supervised = await supervise(name, start, { runDir: this.#settings.runDir, log: this.#log });
    this.#supervised.set(name, supervised as Supervised<Running>);
    return supervised;
  }
}
