import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { endOrphans, remembered } from '../../embedded/processes/orphans.ts';
import { type Launched, launch } from '../../embedded/processes/process.ts';
import { supervise } from '../../embedded/processes/supervise.ts';
import { steadyPort } from '../support/ports.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { waitFor } from '../support/wait-for.ts';

type Incident = { resolved_at: string | null; triggered_at: string };

/** One story: each test continues where the one before stopped. */
describe('npm start', function () {
  this.timeout(300_000);

  const dataDir = temporaryDirectory();
  const runDir = join(dataDir, 'run');
  const logFile = join(dataDir, 'terminal.log');
  const ports: Record<string, string> = {};
  let terminal: Launched;
  let api: string;
  let ui: string;

  before(async () => {
    for (const name of ['PORT', 'PG_PORT', 'TEMPORAL_PORT', 'TEMPORAL_UI_PORT'])
      ports[name] = `${await steadyPort()}`;
    api = `http://127.0.0.1:${ports.PORT}`;
    ui = `http://127.0.0.1:${ports.TEMPORAL_UI_PORT}`;
  });

  after(async () => {
    if (!terminal.hasExited()) process.kill(-terminal.pid, 'SIGKILL');
    await endOrphans(runDir, [], () => {});
  });

  /** Runs what the script `start` runs, without npm's shell. */
  const start = (env: Record<string, string> = {}) =>
    launch({
      command: process.execPath,
      args: ['embedded/start.ts'],
      logFile,
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, DATA_DIR: dataDir, DATABASE_URL: '', TEMPORAL_ADDRESS: '', ...ports, ...env },
    });

  /** Ctrl-C: the terminal sends the signal to the whole foreground group. */
  const ctrlC = () => process.kill(-terminal.pid, 'SIGINT');

  async function ready(): Promise<void> {
    const isReady = () => terminal.output().includes(`Tocsin is ready at ${api}`);
    await waitFor(() => isReady() || terminal.hasExited(), { timeoutMs: 200_000, what: 'the ready line' });
    assert.ok(isReady(), terminal.output());
  }

  async function read<T>(path: string): Promise<T> {
    const response = await fetch(`${api}${path}`, { signal: AbortSignal.timeout(10_000) });
    assert.equal(response.status, 200, path);
    return (await response.json()) as T;
  }

  /** The rules that are not built in. */
  async function ownRules(): Promise<unknown[]> {
    const rules = await read<{ condition: { kind: string } }[]>('/alerts');
    return rules.filter(({ condition }) => condition.kind !== 'received');
  }

  const supervised = () =>
    readdirSync(runDir)
      .map((file) => file.replace('.json', ''))
      .filter((name) => remembered(runDir, name) !== undefined);

  it('becomes ready and shows the addresses', async () => {
    terminal = await start();
    await ready();
    for (const url of [`${api}/docs`, `${api}/status`, ui]) {
      assert.ok(terminal.output().includes(url), `${url} is not shown`);
      assert.equal((await fetch(url)).status, 200, url);
    }
    assert.deepEqual(supervised().sort(), ['api', 'postgres', 'supervisor', 'temporal', 'workers']);
  });

  it('opens an incident within a minute, and it ends by itself', async () => {
    const incidents = () => read<Incident[]>('/incidents');
    await waitFor(async () => (await incidents()).length > 0, { timeoutMs: 60_000, what: 'an incident' });
    await waitFor(async () => (await incidents()).some(({ resolved_at }) => resolved_at), {
      timeoutMs: 60_000,
      what: 'the end of an incident',
    });
  });

  it('restarts parts that were killed', async () => {
    for (const name of ['workers', 'postgres', 'temporal']) {
      process.kill(remembered(runDir, name)!, 'SIGKILL');
      await waitFor(() => terminal.output().includes(`${name} runs again`), { what: `${name} to run again` });
    }
    const { total_events } = await read<{ total_events: number }>('/analytics/summary');
    await waitFor(
      async () => (await read<{ total_events: number }>('/analytics/summary')).total_events > total_events,
      { timeoutMs: 60_000, what: 'events after everything was killed' },
    );
  });

  it('says in one sentence that it already runs, or that its port is taken', async () => {
    for (const [dir, sentence] of [
      [dataDir, /^Tocsin already runs on .* \(process \d+\)/m],
      [temporaryDirectory(), new RegExp(`^Port ${ports.PORT}, wanted for the API, is taken`, 'm')],
    ] as const) {
      const second = await start({ DATA_DIR: dir });
      assert.equal((await second.exited).code, 1);
      assert.match(second.output(), sentence);
      assert.doesNotMatch(second.output(), /^\s+at /m, 'a stack trace');
    }
    assert.equal(supervised().length, 5, 'the first one was disturbed');
  });

  it('leaves no process behind on Ctrl-C, even if pressed twice', async () => {
    const pids = supervised().map((name) => remembered(runDir, name)!);
    ctrlC();
    await waitFor(() => terminal.output().includes('Stopping'), { what: 'the stop to begin' });
    ctrlC();
    assert.equal((await terminal.exited).code, 0);
    assert.doesNotMatch(terminal.output(), /is killed/);
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    assert.deepEqual(supervised(), []);
  });

  it('says in one sentence that a port of its servers is taken, and leaves nothing running', async () => {
    const other = createServer().listen(Number(ports.TEMPORAL_PORT), '127.0.0.1');
    try {
      terminal = await start();
      assert.equal((await terminal.exited).code, 1);
      assert.match(
        terminal.output(),
        new RegExp(`^Port ${ports.TEMPORAL_PORT}, wanted for Temporal, is taken`, 'm'),
      );
      assert.deepEqual(supervised(), []);
    } finally {
      other.close();
    }
  });

  it('keeps all data over a restart, even after it was killed', async () => {
    let kept = 1;
    for (const end of ['SIGKILL', 'SIGINT'] as const) {
      terminal = await start();
      await ready();
      const events = async () => (await read<{ total_events: number }>('/analytics/summary')).total_events;
      const atStart = await events();
      assert.ok(atStart >= kept, `${atStart} events after ${kept}`);
      assert.equal((await read<unknown[]>('/producers')).length, 7);
      assert.equal((await ownRules()).length, 3);
      kept = await waitFor(async () => ((await events()) > atStart ? await events() : 0), {
        what: 'more events',
      });
      process.kill(-terminal.pid, end);
      await terminal.exited;
    }
  });

  it('removes the samples and everything from them, for good until they are added again', async () => {
    terminal = await start({ SAMPLES: 'off' });
    await ready();
    const samples = async (command: string, ...options: string[]) => {
      const args = ['embedded/samples-command.ts', command, api, ...options];
      const run = await launch({
        command: process.execPath,
        args,
        logFile,
        cwd: join(import.meta.dirname, '../..'),
      });
      assert.equal((await run.exited).code, 0, run.output());
      return run.output();
    };
    await samples('remove');
    assert.deepEqual(await ownRules(), []);
    assert.deepEqual(await read('/producers'), []);
    assert.deepEqual(await read('/incidents'), []);
    assert.deepEqual(await read('/events'), []);
    process.kill(-terminal.pid, 'SIGTERM');
    await terminal.exited;
    terminal = await start();
    await ready();
    assert.deepEqual(await ownRules(), []);
    assert.deepEqual(await read('/producers'), []);
    assert.match(await samples('add', '--once'), /^Added 7 sample producers and 3 sample rules/m);
    assert.match(await samples('add'), /^Added 0 sample producers and 0 sample rules/m);
    assert.match(await samples('add', '--once'), /^Added no samples/m);
    process.kill(-terminal.pid, 'SIGTERM');
    await terminal.exited;
    assert.deepEqual(supervised(), []);
  });
});

describe('a process that cannot be recorded', () => {
  it('is stopped, because no later start could end it', async () => {
    let stopped = 0;
    const running = {
      pid: process.pid,
      exited: new Promise<never>(() => {}),
      async stop() {
        stopped += 1;
      },
    };
    // Like a full disk: nothing can be written there.
    const options = { runDir: join(import.meta.filename, 'run'), log: () => {} };
    await assert.rejects(
      supervise('api', async () => running, options),
      { code: 'ENOTDIR' },
    );
    assert.equal(stopped, 1);
  });
});
