import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { freePort } from '../../process/free-port.ts';
import { addMissingAttributes, RETENTION_DAYS, searchAttributes } from '../../temporal-config/register.ts';
import { portTaken, requireFree } from '../ports.ts';
import { type Exit, type Launched, type Log, launch, type StopStep } from '../processes/process.ts';
import { diskFull, fileError, StartupError } from '../startup-error.ts';
import { findTemporal } from './binary.ts';
import { dynamicConfigFlags } from './config.ts';
import { hiddenAddress, openUiDoor, type UiDoor, type UiMode, uiRemedy } from './ui.ts';

export type TemporalOptions = {
  /**
   * The SQLite file that keeps workflows across restarts, in a directory that only we may read. If absent,
   * workflows are kept in memory.
   */
  dbFile?: string;
  /** The port; if absent, any free one. */
  port?: number;
  /** The port of the Web UI; if absent, there is no UI. */
  uiPort?: number;
  /** What people may do in the UI; by default they can only look. */
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
 * Starts the Temporal dev server on loopback with the project's settings, and waits until `namespace`
 * answers.
 * @throws StartupError, one sentence, if it cannot start
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
 * Makes the files readable by us only, because workflows contain the texts of events and notices. Earlier
 * versions created files that everybody could read; those are changed too.
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
    // A rollback journal with synchronous commits would reduce the activities per second to less than half.
    ...(dbFile ? ['--db-filename', dbFile, '--sqlite-pragma', 'journal_mode=WAL'] : []),
    ...(dbFile ? ['--sqlite-pragma', 'synchronous=1'] : []),
    ...dynamicConfigFlags(),
    ...Object.entries(searchAttributes).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
  ];
}

/** Waits until the server is ready; false if it ends, or does not answer for three minutes. */
async function becomesReady(server: Launched, address: string, namespace: string): Promise<boolean> {
  const giveUp = Date.now() + startMs;
  while (!server.hasExited() && Date.now() < giveUp) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 2_000 });
      try {
        await connection.withDeadline(Date.now() + 5_000, async () => {
          await connection.workflowService.describeNamespace({ namespace });
          // The default of the dev server is one day.
          const workflowExecutionRetentionTtl = msToTs(RETENTION_DAYS * 86_400_000);
          await connection.workflowService.updateNamespace({
            namespace,
            config: { workflowExecutionRetentionTtl },
          });
          // The dev server creates the attributes of its command line only in a new file.
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

/** The environment for the CLI, without TEMPORAL_* variables, which it would take for its own flags. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}
