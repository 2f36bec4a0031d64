import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { configKeys, loadConfig } from '../config.ts';
import { isSecret, makeSecret } from '../domain/key.ts';
import { WORKER_ROLES } from '../workflows/queues.ts';
import { spawnRole } from './support/processes.ts';
import { temporaryDirectory } from './support/temporary.ts';

type Service = {
  image?: string;
  build?: string;
  init?: boolean;
  user?: string;
  restart?: string;
  command?: string[];
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  pull_policy?: string;
  ports?: string[];
  volumes?: string[];
  stop_grace_period?: string;
};

const root = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const services = Object.entries(compose.services);
const ours = services.filter(([, { image }]) => image === 'tocsin');
const scriptOf = (service: Service) => service.command?.[1] ?? '';

describe('docker compose', () => {
  it('runs scripts that exist, in exec form, which the image holds', () => {
    const ignored = read('.dockerignore').split('\n');
    for (const [name, service] of ours) {
      assert.equal(service.command?.[0], 'node', name);
      assert.ok(existsSync(join(root, scriptOf(service))), `${name}: ${scriptOf(service)} does not exist`);
      assert.ok(
        ignored.includes(`!${scriptOf(service).split('/')[0]}`),
        `${name}: left out by .dockerignore`,
      );
    }
  });

  it('has one worker service for each role', () => {
    const roles = ours.filter(([, s]) => scriptOf(s) === 'workers/main.ts').map(([, s]) => s.command?.[2]);
    assert.deepEqual(roles.toSorted(), WORKER_ROLES.filter((role) => role !== 'all').toSorted());
  });

  it('builds our image once, and looks for it nowhere else', () => {
    assert.deepEqual(
      ours.filter(([, { build }]) => build).map(([name]) => name),
      ['migrate'],
    );
    for (const [name, { build, pull_policy }] of ours) {
      assert.equal(pull_policy, build ? 'build' : 'never', name);
    }
  });

  it('adds samples to an empty system only, since it does so at every start', () => {
    assert.ok(compose.services.samples!.command!.includes('--once'));
  });

  it('asks each worker for its own heartbeat', () => {
    for (const [name, service] of ours.filter(([, s]) => scriptOf(s) === 'workers/main.ts')) {
      const [, node, script, role] = service.healthcheck?.test ?? [];
      assert.deepEqual([node, role], ['node', service.command?.[2]], name);
      assert.ok(existsSync(join(root, script!)), `${name}: ${script} does not exist`);
    }
  });

  it('sets only variables that the configuration knows', () => {
    for (const [name, { environment = {} }] of ours) {
      for (const key of Object.keys(environment)) assert.ok(configKeys.includes(key), `${name}: ${key}`);
    }
  });

  it('gives each role a configuration it accepts', () => {
    for (const [name, service] of ours.filter(([, s]) => s.environment?.DATABASE_URL)) {
      const env = Object.entries(service.environment!).map(([key, value]) => [key, substituted(value)]);
      const { BOOTSTRAP_KEY_FILE, ...rest } = Object.fromEntries(env);
      // The file is in a volume.
      const given = BOOTSTRAP_KEY_FILE ? { ...rest, BOOTSTRAP_KEY: makeSecret('key') } : rest;
      assert.doesNotThrow(() => loadConfig(given), name);
    }
  });

  it('refuses to start without an ingest token of your own', () => {
    assert.match(compose.services.api!.environment!.INGEST_TOKEN!, /^\$\{INGEST_TOKEN:\?/);
  });

  it('makes the first key once, for all who need it, and lets only its maker write there', async () => {
    const { 'bootstrap-key': maker, api, samples } = compose.services;
    const file = maker!.command![2]!;
    assert.equal(file, '/keys/bootstrap');
    assert.deepEqual(maker!.volumes, ['keys:/keys']);
    for (const service of [api!, samples!]) {
      assert.equal(service.environment!.BOOTSTRAP_KEY_FILE, file);
      assert.ok(service.volumes!.includes('keys:/keys:ro'));
    }
    assert.ok('bootstrap-key' in api!.depends_on!);
    // An empty volume takes over owner and mode of what it is mounted on.
    assert.match(read('Dockerfile'), /^RUN install -d -o node -g node -m 700 \/keys$/m);
    for (const [name, { environment = {} }] of ours) {
      if (environment.BOOTSTRAP_KEY_FILE) assert.ok(['api', 'samples'].includes(name), name);
    }
  });

  it('keeps the first key out of logs, whoever else makes it at the same time, and shows it when asked to', async () => {
    const file = join(temporaryDirectory(), 'bootstrap');
    const make = async (...options: string[]) => {
      const maker = await spawnRole(scriptOf(compose.services['bootstrap-key']!), [...options, file], {});
      const { code } = await maker.exited;
      return { code, output: maker.output() };
    };
    const runs = await Promise.all([make(), make()]);
    const key = readFileSync(file, 'utf8').trim();
    assert.ok(isSecret('key', key));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(
      runs.map(({ code }) => code),
      [0, 0],
    );
    const again = await make();
    assert.equal(again.code, 0);
    for (const { output } of [...runs, again]) {
      assert.doesNotMatch(output, /tk[0-9A-Za-z]{30}/);
      assert.ok(output.includes(`--show ${file}`), output);
    }
    assert.equal((await make('--show')).output, `${key}\n`);
    const drafts = readdirSync(dirname(file)).filter((name) => name.startsWith('bootstrap.'));
    assert.deepEqual(drafts, []);
    assert.equal(readFileSync(file, 'utf8').trim(), key);
  });

  it('waits for services that exist: the health of those that stay, the success of those that end', () => {
    for (const [name, { depends_on = {} }] of services) {
      for (const [needed, { condition }] of Object.entries(depends_on)) {
        const service = compose.services[needed];
        assert.ok(service, `${name} waits for ${needed}, which does not exist`);
        const ends = service.restart?.startsWith('on-failure');
        assert.equal(
          condition,
          ends ? 'service_completed_successfully' : 'service_healthy',
          `${name}: ${needed}`,
        );
        assert.ok(
          ends || service.healthcheck,
          `${name} waits for the health of ${needed}, which has no check`,
        );
      }
    }
  });

  it('talks to hosts that are services', () => {
    const hosts = JSON.stringify(services).matchAll(/(?:@|http:\/\/|"|SEEDS":"|HOST":")([a-z-]+):\d{4}/g);
    for (const [, host] of hosts) assert.ok(host! in compose.services, `${host} is no service`);
  });

  it('publishes ports on loopback only, and pins every image', () => {
    for (const [name, { ports = [], image }] of services) {
      for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
      if (image !== 'tocsin') assert.match(image!, /:\d+\.\d+(\.\d+)?/, `${name}: ${image} is not pinned`);
    }
    assert.match(read('Dockerfile'), /^FROM node:24-bookworm-slim$/m);
  });

  it('runs our roles without privileges and lets them drain', () => {
    assert.match(read('Dockerfile'), /^USER node$/m);
    for (const [name, service] of ours) {
      assert.equal(service.user, 'node', name);
      assert.equal(service.init, true, name);
      if (service.restart === 'unless-stopped') assert.ok(service.stop_grace_period, name);
    }
  });

  it('mounts files that exist and volumes that are declared', () => {
    for (const [name, { volumes = [] }] of services) {
      for (const [source] of volumes.map((volume) => volume.split(':'))) {
        const known = source!.startsWith('.') ? existsSync(join(root, source!)) : source! in compose.volumes;
        assert.ok(known, `${name}: ${source}`);
      }
    }
  });

  it('gives Temporal our dynamic configuration and room to grow', () => {
    const { environment = {}, volumes = [] } = compose.services.temporal!;
    const [source, target] = volumes[0]!.split(':');
    const file = environment.DYNAMIC_CONFIG_FILE_PATH!.replace(target!, source!);
    assert.ok(existsSync(join(root, file)), file);
    assert.equal(environment.NUM_HISTORY_SHARDS, '512');
  });

  it('keeps events and workflows in different servers', () => {
    const { postgres, 'temporal-postgres': other } = compose.services;
    assert.notEqual(postgres!.volumes![0], other!.volumes![0]);
    assert.equal(compose.services.temporal!.environment!.POSTGRES_SEEDS, 'temporal-postgres');
  });
});

/** What compose makes of `${NAME:-default}` and `${NAME:?reason}` when only required variables are set. */
function substituted(value: string): string {
  return value.replace(/\$\{\w+:-(.*?)\}/g, '$1').replace(/\$\{\w+:\?.*?\}/g, 'a-secret-of-my-own');
}
