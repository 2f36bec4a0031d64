import { isatty } from 'node:tty';
import { parentOf, startedWith } from './identity.ts';

const lookEveryMs = 250;

/**
 * Resolves when this process must stop: at a signal, when its terminal closes, or when the `npm` that runs it
 * is killed without passing the signal on. If only the shell that started npm ends, the process continues.
 */
export function askedToStop(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  const unwatch = process.env.npm_lifecycle_event === undefined ? () => {} : watchNpm(resolve);
  // Node cancels the effect of nohup: every node process, npm too, starts with the default action for SIGHUP.
  // So a process without a terminal ignores SIGHUP, and also that SIGHUP has ended npm.
  const usesTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
  process.on('SIGHUP', usesTerminal ? () => resolve() : unwatch);
  return promise;
}

/** Calls `gone` once npm has ended. The returned function stops the watch. */
function watchNpm(gone: () => void): () => void {
  const original = ancestors();
  let misses = 0;
  const timer = setInterval(() => {
    misses = isSame(original) ? 0 : misses + 1;
    // It waits for a second miss, because the hangup that ended npm may reach this process a moment later.
    if (misses === 2) gone();
  }, lookEveryMs).unref();
  return () => clearInterval(timer);
}

/**
 * The process numbers from our parent up to npm. A shell, or the watcher of `npm run dev`, may be in between.
 */
function ancestors(): number[] {
  const line = [process.ppid];
  const ours = `npm_lifecycle_event=${process.env.npm_lifecycle_event}`;
  // The environment of npm itself lacks the variable, or has the value of an npm around it.
  while (startedWith(line.at(-1)!, ours)) {
    const parent = parentOf(line.at(-1)!);
    if (parent === undefined) break;
    line.push(parent);
  }
  return line;
}

/** Says whether the chain of parents is unchanged. A process whose parent ends gets another parent. */
function isSame(line: number[]): boolean {
  return line.every((pid, index) => (index === 0 ? process.ppid : parentOf(line[index - 1]!)) === pid);
}
