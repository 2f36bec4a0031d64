import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileError, StartupError, systemCode } from '../startup-error.ts';

/** Prints one line for the person at the terminal. */
export type Log = (line: string) => void;

export type Exit = { code: number | null; signal: NodeJS.Signals | null };

/** A signal, and how many milliseconds to wait before the next one. */
export type StopStep = [signal: NodeJS.Signals, graceMs: number];

export type Launched = {
  pid: number;
  exited: Promise<Exit>;
  hasExited(): boolean;
  /** The program's output since this launch. */
  output(): string;
  /**
   * Sends the signals one after the other until the process has ended. Resolves at once if it has ended
   * already.
   */
  stop(steps: StopStep[], onSignal?: (signal: NodeJS.Signals) => void): Promise<Exit>;
};

export type LaunchOptions = {
  command: string;
  args: string[];
  logFile: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  user?: { uid: number; gid: number };
};

const logKeptBytes = 10_000_000;
const living = new Set<Launched>();
let closed = false;

/**
 * Starts a program in its own process group. Ctrl-C in the terminal then reaches only this process, which
 * decides the order in which programs stop. The program writes to a file instead of a pipe, so it survives if
 * this process is killed.
 * @throws StartupError if the program cannot be executed or its log cannot be written
 */
export async function launch(options: LaunchOptions): Promise<Launched> {
  const { command, args, logFile, user } = options;
  if (closed) throw new StartupError(`${command} is not started, because everything is being stopped.`);
  const log = openLog(logFile);
  const offset = statSync(logFile).size;
  try {
    const child = spawn(command, args, {
      ...user,
      cwd: options.cwd,
      env: options.env ?? process.env,
      detached: true,
      stdio: ['ignore', log, log],
    });
    const spawned = new Promise<void>((resolve, reject) =>
      child.once('spawn', resolve).once('error', reject),
    );
    // Before the first await, because the program already runs: a stop during the await must find it.
    const program = child.pid === undefined ? undefined : launched(child, child.pid, logFile, offset);
    await spawned;
    return program!;
  } catch (error) {
    throw cannotExecute(command, user, error);
  } finally {
    closeSync(log);
  }
}

function launched(child: ChildProcess, pid: number, logFile: string, offset: number): Launched {
  let gone = false;
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      gone = true;
      living.delete(self);
      resolve({ code, signal });
    });
  });
  const self: Launched = {
    pid,
    exited,
    hasExited: () => gone,
    output: () => (existsSync(logFile) ? readFileSync(logFile).subarray(offset).toString('utf8') : ''),
    async stop(steps, onSignal) {
      for (const [signal, graceMs] of steps) {
        if (gone) break;
        onSignal?.(signal);
        signalTo(pid, signal);
        await within(graceMs, exited);
      }
      return exited;
    },
  };
  living.add(self);
  return self;
}

/** Makes `launch` throw from now on, so that nothing new starts while everything is stopping. */
export function refuseLaunches(): void {
  closed = true;
}

/** True after `refuseLaunches`: a program that ends now was stopped on purpose. */
export function isStopping(): boolean {
  return closed;
}

/** Stops all programs that `launch` started and that still run, for example after an interrupted start. */
export async function endRemaining(): Promise<void> {
  const steps: StopStep[] = [
    ['SIGTERM', 5_000],
    ['SIGKILL', 10_000],
  ];
  await Promise.all([...living].map((program) => program.stop(steps)));
}

/** Waits for `promise`, for at most `ms` milliseconds. Returns true if it settled in time. */
export async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Sends a signal to a process that we launched. SIGKILL goes to its whole process group, because a killed
 * process cannot stop its children.
 */
export function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(signal === 'SIGKILL' ? -pid : pid, signal);
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error;
  }
}

function openLog(file: string): number {
  try {
    mkdirSync(dirname(file), { recursive: true });
    if (existsSync(file) && statSync(file).size > logKeptBytes) renameSync(file, `${file}.1`);
    return openSync(file, 'a', 0o600);
  } catch (error) {
    throw fileError(dirname(file), error);
  }
}

function cannotExecute(command: string, user: LaunchOptions['user'], error: unknown): unknown {
  if (systemCode(error) === 'EACCES' && user) {
    return new StartupError(
      `PostgreSQL may not run as root, and the user it runs as instead cannot reach ${command}: ` +
        'start as an ordinary user, or keep the project where every user can read it.',
    );
  }
  return systemCode(error) ? new StartupError(`${command} cannot be run (${systemCode(error)}).`) : error;
}
