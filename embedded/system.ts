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

/** In this order they stop, each group when the one before is gone. */
const stopOrder = [['workers', 'api'], ['temporal'], ['postgres']];
const supervisor = 'supervisor';
const stopping = 'stopping';
/** How long a start waits for the one before it to end. */
const handOverMs = 90_000;

/** The processes of one `npm start`: what runs, what is kept running, and how it stops. */
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
   * Takes the data directory for us alone and ends what a killed start left; one that is stopping is waited
   * for. Throws StartupError if another has it.
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

  /** Resolves to the URL of an embedded PostgreSQL, which keeps its port when it has to be restarted. */
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

  /** Resolves to the address of a dev server with its Web UI. */
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

  /** Runs a script of the project, kept running under `name`. */
  async role(
    name: string,
    args: string[],
    env: NodeJS.ProcessEnv,
  ): Promise<{ current(): Role; logFile: string }> {
    const logFile = join(this.#settings.dataDir, 'logs', `${name}.log`);
    const { current } = await this.#keep(name, () => startRole({ name, args, env, logFile, log: this.#log }));
    return { current, logFile };
  }

  /** Throws StartupError if a port that people are told about is taken. */
  async requirePorts(): Promise<void> {
    const { apiPort, apiHost } = this.#settings;
    await requireFree(apiPort, 'the API', 'stop that one, or set PORT', apiHost);
  }

  /** Stops everything in order, however far it had come. */
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
   * For the next start, which waits then. Without it, on a full disk, that one gives up at once; all is
   * stopped anyway.
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
