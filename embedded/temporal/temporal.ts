import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { addMissingAttributes, RETENTION_DAYS, searchAttributes } from '../../temporal-config/register.ts';
import { freePort, portTaken, requireFree } from '../ports.ts';
import { type Exit, type Launched, type Log, launch, type StopStep } from '../processes/process.ts';
import { diskFull, fileError, StartupError } from '../startup-error.ts';
import { findTemporal } from './binary.ts';
import { dynamicConfigFlags } from './config.ts';
import { hiddenAddress, openUiDoor, type UiDoor, type UiMode, uiRemedy } from './ui.ts';

export type TemporalOptions = {
  /**
   * SQLite file that keeps workflows over restarts, in a directory of its own, which others may not read;
   * without it they live in memory.
   */
  dbFile?: string;
  /** Any free one if not given. */
  port?: number;
  /** Port of the Web UI; without it there is none. */
  uiPort?: number;
  /** What can be done there: only looked at, unless it says so. */
  uiMode?: UiMode;
  namespace: string;
  logFile: string;
  log: Log;
};

export type RunningTemporal = {
  address: string;
  uiUrl?: string;
  pid: number;
  exited: Promise<Exit>;
  stop(): Promise<void>;
};

const stopSteps: StopStep[] = [
  ['SIGTERM', 20_000],
  ['SIGKILL', 10_000],
];
const startMs = 180_000;

/**
 * Starts the Temporal dev server on loopback with the project's settings and waits until `namespace` answers.
 * Throws StartupError, one sentence, if it cannot.
 */
export async function startTemporal(options: TemporalOptions): Promise<RunningTemporal> {
  const { dbFile, uiPort, namespace, logFile, log } = options;
  const port = options.port ?? (await freePort());
  await requireFree(port, 'Temporal', temporalRemedy(port));
  if (uiPort) await requireFree(uiPort, 'the Temporal Web UI', uiRemedy);
  const command = await findTemporal({ log });
  if (dbFile) keepPrivate(dbFile);
  const ui = uiPort ? { host: hiddenAddress(), port: await freePort() } : undefined;
  const server = await launch({ command, args: flags(port, ui, options), logFile, env: environment() });
  const address = `127.0.0.1:${port}`;
  if (!(await becomesReady(server, address, namespace))) {
    await server.stop(stopSteps);
    throw startupError(server.output(), port, options);
  }
  if (dbFile) keepPrivate(dbFile);
  let door: UiDoor | undefined;
  try {
    door =
      uiPort && ui ? await openUiDoor(uiPort, ui, { mode: options.uiMode ?? 'read', namespace }) : undefined;
  } catch (error) {
    await server.stop(stopSteps);
    throw error;
  }
  const exited = server.exited.finally(() => door?.close());
  return {
    address,
    uiUrl: door?.url,
    pid: server.pid,
    exited,
    async stop() {
      await server.stop(stopSteps);
      await exited;
    },
  };
}

/**
 * Workflows hold what events and notices say: nobody but us may read them. Files of earlier starts, which all
 * could read, too.
 */
function keepPrivate(dbFile: string): void {
  const dir = dirname(dbFile);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
    for (const file of readdirSync(dir).filter((name) => name.startsWith(basename(dbFile))))
      chmodSync(join(dir, file), 0o600);
  } catch (error) {
    throw fileError(dir, error);
  }
}

function flags(
  port: number,
  ui: { host: string; port: number } | undefined,
  { dbFile, namespace }: TemporalOptions,
): string[] {
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--namespace', namespace],
    ...(ui ? ['--ui-ip', ui.host, '--ui-port', String(ui.port)] : ['--headless']),
    // Synchronous commits of a rollback journal would more than halve the activities per second.
    ...(dbFile ? ['--db-filename', dbFile, '--sqlite-pragma', 'journal_mode=WAL'] : []),
    ...(dbFile ? ['--sqlite-pragma', 'synchronous=1'] : []),
    ...dynamicConfigFlags(),
    ...Object.entries(searchAttributes).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
  ];
}

/** False as soon as the server has ended, or when it stays silent for three minutes. */
async function becomesReady(server: Launched, address: string, namespace: string): Promise<boolean> {
  const giveUp = Date.now() + startMs;
  while (!server.hasExited() && Date.now() < giveUp) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 2_000 });
      try {
        await connection.withDeadline(Date.now() + 5_000, async () => {
          await connection.workflowService.describeNamespace({ namespace });
          // The dev server's own is a day.
          const workflowExecutionRetentionTtl = msToTs(RETENTION_DAYS * 86_400_000);
          await connection.workflowService.updateNamespace({
            namespace,
            config: { workflowExecutionRetentionTtl },
          });
          // The dev server makes those of its command line only in a new file.
          const missing = await addMissingAttributes(connection, namespace);
          if (missing.length > 0) throw new Error(`search attributes are not there yet: ${missing}`);
        });
        return true;
      } finally {
        await connection.close();
      }
    } catch {
      await sleep(50);
    }
  }
  return false;
}

function startupError(output: string, port: number, { dbFile, logFile }: TemporalOptions): StartupError {
  const taken = output.match(/(\d+): bind: address already in use/)?.[1];
  if (taken) return new StartupError(portTaken(Number(taken), 'Temporal', temporalRemedy(port)));
  if (/no space left on device|database or disk is full/i.test(output))
    return new StartupError(diskFull(dbFile ?? logFile));
  if (/not a database|malformed|readonly database|unable to open database/i.test(output)) {
    return new StartupError(
      `The Temporal data in ${dbFile} cannot be used: move it away to start anew; events, rules and incidents are not in it.`,
    );
  }
  return new StartupError(`The Temporal server did not start: its log is ${logFile}.`);
}

function temporalRemedy(port: number): string {
  return `stop that one, set TEMPORAL_PORT, or use the Temporal server that is there with TEMPORAL_ADDRESS=127.0.0.1:${port}`;
}

/** TEMPORAL_* variables would be taken by the CLI for its own flags. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}
