import { isatty } from 'node:tty';
import { parentOf, startedWith } from './identity.ts';

const lookEveryMs = 250;

/**
 * Resolves when this process is to stop: by a signal, by the end of the terminal it uses, or because the
 * `npm` that runs it was killed without passing that on. The end of the shell that npm was started from is no
 * reason to stop.
 */
export function askedToStop(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  const unwatch = process.env.npm_lifecycle_event === undefined ? () => {} : watchNpm(resolve);
  // Node undoes nohup: every node process, npm too, starts with the default action for SIGHUP. So a hangup is
  // ignored by whether we use a terminal, and with it that it ends npm.
  const usesTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
  process.on('SIGHUP', usesTerminal ? () => resolve() : unwatch);
  return promise;
}

/** Calls `gone` once npm has ended. The result ends the watch. */
function watchNpm(gone: () => void): () => void {
  const original = ancestors();
  let misses = 0;
  const timer = setInterval(() => {
    misses = isSame(original) ? 0 : misses + 1;
    // Not at the first miss: a hangup that ended npm reaches us too, and may be read a moment later.
    if (misses === 2) gone();
  }, lookEveryMs).unref();
  return () => clearInterval(timer);
}

/**
 * The processes from our parent up to npm. Between npm and us may be its shell, or the watcher of `npm run
 * dev`.
 */
function ancestors(): number[] {
  const line = [process.ppid];
  const ours = `npm_lifecycle_event=${process.env.npm_lifecycle_event}`;
  // npm's own environment lacks the variable, or has that of an npm around it.
  while (startedWith(line.at(-1)!, ours)) {
    const parent = parentOf(line.at(-1)!);
    if (parent === undefined) break;
    line.push(parent);
  }
  return line;
}

/** A process whose parent has ended gets another parent. */
function isSame(line: number[]): boolean {
  return line.every((pid, index) => (index === 0 ? process.ppid : parentOf(line[index - 1]!)) === pid);
}
