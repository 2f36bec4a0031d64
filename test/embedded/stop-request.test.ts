import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, parentOf } from '../../embedded/processes/identity.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { waitFor } from '../support/wait-for.ts';

const has = (command: string, ...args: string[]) => !spawnSync(command, args, { stdio: 'ignore' }).error;

const BASH = '/bin/bash';

/** Longer than it takes to notice that npm has ended: 40 beats of 50 ms. */
const ENOUGH_BEATS = 40;

describe('npm start and the shell it was started from', function () {
  this.timeout(60_000);

  let dir: string;
  const shells: ChildProcess[] = [];

  beforeEach(function () {
    if (process.platform !== 'linux') this.skip();
    dir = temporaryDirectory();
    const start = `exec "${process.execPath}" "${join(import.meta.dirname, 'waits-to-stop.ts')}"`;
    writeFileSync(join(dir, 'package.json'), JSON.stringify({ scripts: { start } }));
  });

  afterEach(() => {
    const pid = existsSync(join(dir, 'pid')) ? Number(read('pid')) : undefined;
    if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGKILL');
    for (const shell of shells.splice(0)) if (shell.exitCode === null) shell.kill('SIGKILL');
  });

  const read = (file: string) => readFileSync(join(dir, file), 'utf8');

  /** Runs a line like a shell without a terminal, for example in a CI step. */
  function shell(line: string): ChildProcess {
    const child = spawn('bash', ['--norc', '-c', line], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
    shells.push(child);
    return child;
  }

  /** Types a line into an interactive shell in a terminal. If it is killed, the terminal closes: a hangup. */
  function terminal(line: string): ChildProcess {
    const child = spawn('script', ['-qc', 'exec bash --norc -i', '/dev/null'], {
      cwd: dir,
      // `script` runs its command with $SHELL. Shells other than bash may stay between the terminal and the
      // interactive shell, which then gets no hangup.
      env: { ...process.env, SHELL: BASH },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.stdin!.write(`${line}\n`);
    shells.push(child);
    return child;
  }

  const running = (): Promise<number> =>
    waitFor(() => (existsSync(join(dir, 'beats')) ? Number(read('pid')) : undefined), { what: 'npm start' });

  async function ended(child: ChildProcess): Promise<void> {
    await waitFor(() => child.exitCode !== null || child.signalCode !== null, {
      what: 'the end of the shell',
    });
  }

  async function livesOn(): Promise<void> {
    const before = Number(read('beats'));
    await waitFor(() => Number(read('beats')) > before + ENOUGH_BEATS, { what: 'it to live on' });
  }

  const stops = () => waitFor(() => !existsSync(join(dir, 'pid')), { what: 'it to stop' });

  it('continues when the CI step that started it has ended', async () => {
    const step = shell('npm start > log 2>&1 & until [ -e beats ]; do sleep 0.1; done');
    await running();
    await ended(step);
    await livesOn();
  });

  it('continues under setsid', async () => {
    const parent = shell('setsid npm start > log 2>&1 & until [ -e beats ]; do sleep 0.1; done');
    await running();
    await ended(parent);
    await livesOn();
  });

  it('continues under nohup when its terminal is closed, although that ends npm', async function () {
    if (!has('script', '--version')) this.skip();
    const window = terminal('nohup npm start &');
    const npm = parentOf(await running())!;
    window.kill('SIGKILL');
    await waitFor(() => !isAlive(npm), { what: 'the end of npm' });
    await livesOn();
  });

  it('continues when a shell that has disowned it ends', async function () {
    if (!has('script', '--version')) this.skip();
    const window = terminal('npm start & disown');
    await running();
    window.stdin!.write('exit\n');
    await ended(window);
    await livesOn();
  });

  it('continues in tmux when the window it was started from is closed', async function () {
    if (!has('tmux', '-V')) this.skip();
    const tmux = (...args: string[]) => spawnSync('tmux', ['-S', join(dir, 'tmux'), ...args], { cwd: dir });
    const server = shell(`tmux -S "${join(dir, 'tmux')}" new-session -d 'npm start'`);
    try {
      await running();
      await ended(server);
      await livesOn();
    } finally {
      tmux('kill-server');
    }
    await stops();
  });

  it('stops when its terminal is closed, even in the background', async function () {
    if (!has('script', '--version')) this.skip();
    const window = terminal('npm start &');
    await running();
    window.kill('SIGKILL');
    await stops();
  });

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    it(`stops when its npm gets ${signal}`, async () => {
      shell('npm start > log 2>&1');
      process.kill(parentOf(await running())!, signal);
      await stops();
    });
  }

  it('stops when the npm is killed that runs it through a shell', async () => {
    writeFileSync(
      join(dir, 'package.json'),
      JSON.stringify({
        scripts: {
          start: `"${process.execPath}" "${join(import.meta.dirname, 'waits-to-stop.ts')}"; true`,
        },
      }),
    );
    shell('npm start > log 2>&1');
    process.kill(parentOf(parentOf(await running())!)!, 'SIGKILL');
    await stops();
  });
});
