import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { waitFor } from '../support/wait-for.ts';
import { MEMORY_LIMIT, memory, total, watchMemory } from './memory.ts';
import { assertScrape, logsAreWell, scrape } from './observe.ts';
import { Project } from './project.ts';
import { Sender } from './sender.ts';

/**
 * Starts docker-compose.yml on the engine that `docker` uses, as docs/operating.md says, and then disturbs
 * it. With `--memory` it also measures the memory of the containers for ten minutes.
 */
const { values: options } = parseArgs({ options: { memory: { type: 'boolean' } } });
const API = 'http://127.0.0.1:8000';
const BASE = 'node:24-bookworm-slim';
const UI = 'http://127.0.0.1:8233';
const ROLES = ['api', 'worker-ingest', 'worker-rules', 'worker-incidents', 'worker-notify'];
const SERVERS = ['temporal', 'postgres', 'temporal-postgres'];

const project = new Project(mkdtempSync(join(tmpdir(), 'tocsin-compose-')));
const started = Date.now();
let key = '';

async function step(what: string, work: () => Promise<unknown>): Promise<void> {
  const begun = Date.now();
  const said = await work();
  const seconds = ((Date.now() - begun) / 1000).toFixed(1);
  console.log(`  ✔ ${what} (${seconds} s)${typeof said === 'string' ? `: ${said}` : ''}`);
}

async function call<T>(path: string, body?: unknown): Promise<{ status: number; body: T }> {
  const response = await fetch(API + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  return { status: response.status, body: (await response.json()) as T };
}

/** Waits until all permanent services are healthy and all others have ended successfully. */
async function well(timeoutMs = 90_000): Promise<void> {
  let wrong: string[] = [];
  const look = async () => {
    const containers = await project.containers();
    wrong = containers
      .filter(({ State, Health, ExitCode }) =>
        State === 'running' ? Health !== 'healthy' && Health !== '' : State !== 'exited' || ExitCode !== 0,
      )
      .map(({ Service, State, Health, ExitCode }) => `${Service} ${State} ${Health} ${ExitCode}`);
    const running = containers.filter(({ State }) => State === 'running').map(({ Service }) => Service);
    return wrong.length === 0 && [...ROLES, ...SERVERS].every((name) => running.includes(name));
  };
  await waitFor(look, { what: 'all containers to be well', timeoutMs, everyMs: 500 }).catch((error) => {
    throw new Error(`not well: ${wrong.join(', ')}`, { cause: error });
  });
}

type Incident = { id: string; state: string };
const incidentsOf = async (host: string) =>
  (await call<Incident[]>(`/incidents?label=payload.host:${host}`)).body;

/** Sends five events of one host, and checks that they open one incident. */
async function opensOne(host: string): Promise<void> {
  const event = { source_id: 'auth', severity: 'high', event_type: 'login_failed', payload: { host } };
  assert.ok(
    (
      await call(
        '/events',
        Array.from({ length: 5 }, () => event),
      )
    ).status < 300,
  );
  await waitFor(async () => (await incidentsOf(host)).length > 0, {
    what: `an incident of ${host}`,
    timeoutMs: 60_000,
  });
  assert.equal((await incidentsOf(host)).length, 1);
}

type Status = { status: string; impaired: string[]; workers: boolean };
const status = async () => (await call<Status>('/status')).body;
const settled = () =>
  waitFor(
    async () => {
      const { impaired, workers } = await status();
      return workers && impaired.every((line) => /no channel|watermark|producer/.test(line));
    },
    { what: 'the system to work again', timeoutMs: 90_000, everyMs: 500 },
  );

async function bringUp(): Promise<void> {
  await step('one command makes the secrets', async () => {
    await project.run('./deploy/make-env.sh');
  });
  for (const name of ['TOCSIN_PASSWORD', 'TOCSIN_OWNER_PASSWORD', 'POSTGRES_PASSWORD']) {
    project.set(name, `${name}/of:${process.pid}#a@b%c d`);
  }
  await step('another builds and starts everything', async () => {
    await project.compose('up', '--build', '--detach', '--quiet-pull');
    await well();
    const sizes = await project.run('docker', 'image', 'inspect', '--format', '{{.Size}}', 'tocsin', BASE);
    const [image, base] = sizes
      .trim()
      .split('\n')
      .map((size) => Math.round(Number(size) / 1e6));
    return `the image has ${image} MB, ${image! - base!} more than ${BASE}`;
  });
  await step('a third shows the first key, which no log has', async () => {
    const show = ['node', 'embedded/bootstrap-key.ts', '--show', '/keys/bootstrap'];
    key = (await project.compose('exec', '-T', 'api', ...show)).trim();
    assert.match(key, /^tk\w{30}$/);
    assert.ok(!(await project.compose('logs')).includes(key));
    assert.equal((await fetch(`${API}/incidents`)).status, 401);
  });
  await step('a sample rule opens an incident', () =>
    waitFor(async () => (await call<Incident[]>('/incidents')).body.length > 0, {
      what: 'an incident of the samples',
      timeoutMs: 180_000,
      everyMs: 500,
    }),
  );
  await step('a rule of our own opens one', async () => {
    const rule = { name: 'Failed logins', event_type: 'login_failed', severity: 'high' };
    const window = { threshold_count: 5, window_seconds: 60, group_by: ['payload.host'] };
    assert.equal((await call('/alerts', { ...rule, ...window })).status, 201);
    await opensOne('first');
  });
  await step('API and workers are no superusers', async () => {
    const users =
      "select distinct usename from pg_stat_activity where datname = 'tocsin' and usename <> 'postgres'";
    assert.equal(await project.sql(users), 'tocsin');
    assert.equal(await project.sql("select rolsuper from pg_roles where rolname = 'tocsin'"), 'f');
  });
  await step('a scrape of each worker has what its SDK measures', async () => {
    for (const worker of ROLES.filter((role) => role !== 'api'))
      assertScrape(await scrape(project, worker), worker);
  });
  await step('a normal start logs JSON, and no error', () => logsAreWell(project, ROLES));
}

async function treatBadly(): Promise<void> {
  const sender = new Sender(API, key, 'steady');
  try {
    for (const service of ROLES) {
      await step(`${service} is killed, and starts again by itself`, async () => {
        await project.signal(service, 'KILL');
        await waitFor(() => healthOf(service, 'healthy', { after: 'restart' }), {
          what: `${service} to start again`,
          timeoutMs: 120_000,
          everyMs: 500,
        });
      });
    }
    await step('a worker that hangs is unhealthy, and well again when it goes on', async () => {
      await project.signal('worker-incidents', 'STOP');
      await waitFor(() => healthOf('worker-incidents', 'unhealthy'), {
        what: 'it to be unhealthy',
        timeoutMs: 120_000,
      });
      await project.signal('worker-incidents', 'CONT');
      await waitFor(() => healthOf('worker-incidents', 'healthy'), {
        what: 'it to be healthy',
        timeoutMs: 120_000,
      });
    });
    for (const service of SERVERS) {
      await step(`${service} is killed, and started again`, async () => {
        await project.compose('kill', '--signal', 'KILL', service);
        if (service !== 'postgres') {
          await waitFor(async () => (await status()).impaired.some((line) => line.startsWith('Temporal')), {
            what: 'the status to say that Temporal fails',
            timeoutMs: 60_000,
          });
        }
        await project.compose('start', service);
        await well();
        await settled();
      });
    }
    await step('an incident opens as before', () => opensOne('second'));
  } finally {
    await sender.stop();
  }
  await step('every event that was answered for is there, once', async () => {
    const ids = (await project.sql("select event_id from events where event_type = 'steady'")).split('\n');
    assert.equal(new Set(ids).size, ids.length, 'events are there twice');
    const stored = new Set(ids);
    assert.deepEqual(
      [...sender.answered].filter((id) => !stored.has(id)),
      [],
    );
    return `${sender.answered.size} events`;
  });
}

/** Says whether a service has this health; after a restart, only once it has restarted. */
async function healthOf(
  service: string,
  health: string,
  { after }: { after?: 'restart' } = {},
): Promise<boolean> {
  const [id] = (await project.compose('ps', '--all', '--quiet', service)).trim().split('\n');
  const format = '{{.State.Health.Status}} {{.RestartCount}}';
  const [found, restarts] = (await project.run('docker', 'inspect', '--format', format, id!))
    .trim()
    .split(' ');
  return found === health && (after !== 'restart' || Number(restarts) > 0);
}

async function takeDown(): Promise<void> {
  await step('the Web UI runs when asked for, and changes nothing', async () => {
    await project.compose('--profile', 'ui', 'up', '--detach', '--no-build');
    const settings = await waitFor(
      async () => (await fetch(`${UI}/api/v1/settings`)).json() as Promise<Record<string, unknown>>,
      { what: 'the Web UI to answer', timeoutMs: 60_000 },
    );
    assert.equal(settings.DisableWriteActions, true);
    await project.compose('stop', 'temporal-ui');
  });
  await step('everything drains', async () => {
    await project.compose('stop', ...ROLES);
    const ended = (await project.containers()).filter(({ Service }) => ROLES.includes(Service));
    for (const { Service, ExitCode } of ended) assert.equal(ExitCode, 0, Service);
  });
  await step('down, and up again: as it was', async () => {
    await project.compose('--profile', 'ui', 'down');
    const begun = Date.now();
    await project.compose('up', '--detach', '--no-build');
    await waitFor(async () => (await call('/readyz')).status === 200, { what: 'the API', timeoutMs: 60_000 });
    const api = (Date.now() - begun) / 1000;
    await well();
    await settled();
    await opensOne('third');
    return `the API answers after ${api.toFixed(1)} s`;
  });
}

try {
  console.log('docker compose:');
  await bringUp();
  if (options.memory) {
    await step('ten minutes of samples', async () => {
      const used = total(await watchMemory(project, 10));
      assert.ok(used < MEMORY_LIMIT, `${Math.round(used)} MiB, more than ${MEMORY_LIMIT}`);
      return `${Math.round(used)} MiB`;
    });
  }
  await treatBadly();
  await takeDown();
  await step('memory', async () => `${Math.round(total(await memory(project)))} MiB`);
  console.log(`  passed in ${Math.round((Date.now() - started) / 1000)} s`);
} catch (error) {
  console.error(error);
  const output = (error as { stderr?: string }).stderr ?? '';
  for (const command of [
    ['ps', '--all'],
    ['logs', '--tail', '40', '--no-color'],
  ]) {
    console.error(await project.compose(...command).catch(() => 'nothing to show'));
  }
  const engine = process.env.TOCSIN_COMPOSE_CACHE;
  if (engine && /daemon/.test(output))
    console.error(readFileSync(join(engine, 'engine.log'), 'utf8').slice(-2000));
  process.exitCode = 1;
} finally {
  await project.remove().catch((error: unknown) => console.error(error));
}
