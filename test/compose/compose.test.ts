import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { configKeys, loadConfig } from '../../config.ts';
import { makeSecret } from '../../domain/keys/key.ts';
import { apiNursery, thrift } from '../../embedded/processes/role.ts';
import { WORKER_ROLES } from '../../workflows/queues.ts';
import { compose, ours, read, root, scriptOf, services, substituted } from '../support/compose-file.ts';

describe('docker compose', () => {
  it('runs scripts that exist and that the image contains, in exec form', () => {
    const ignored = read('.dockerignore').split('\n');
    for (const [name, service] of ours.filter(([name]) => name !== 'shared')) {
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

  it('gives the API the same young generation as npm start does', () => {
    const command = ['node', apiNursery, 'api/main.ts'];
    assert.deepEqual(compose.services.api!.command, command);
    assert.ok(read('Dockerfile').includes(`CMD ${JSON.stringify(command).replaceAll(',', ', ')}`));
    assert.ok(read('Dockerfile').includes(`NODE_OPTIONS=${thrift.args.join(' ')} `));
  });

  it('builds our image once, and pulls it from nowhere', () => {
    assert.deepEqual(
      ours.filter(([, { build }]) => build).map(([name]) => name),
      ['shared'],
    );
    for (const [name, { build, pull_policy }] of ours) {
      assert.equal(pull_policy, build ? 'build' : 'never', name);
    }
  });

  it('adds samples to an empty system only, because it runs at every start', () => {
    assert.ok(compose.services.samples!.command!.includes('--once'));
  });

  it('adds samples when a worker can run their producers', () => {
    assert.deepEqual(Object.keys(compose.services.samples!.depends_on ?? {}), ['api', 'worker-ingest']);
  });

  it('checks the health of each long-running process, without starting Node for it', () => {
    for (const [name, service] of ours.filter(([, s]) => s.restart === 'unless-stopped')) {
      const [, shell, script, port, path] = service.healthcheck?.test ?? [];
      assert.deepEqual([shell, path], ['bash', '/readyz'], name);
      assert.ok(existsSync(join(root, script!)), `${name}: ${script} does not exist`);
      assert.equal(port, service.environment!.METRICS_PORT ?? '8000', name);
    }
  });

  it('sets only variables that the configuration knows', () => {
    for (const [name, { environment = {} }] of ours) {
      for (const key of Object.keys(environment)) assert.ok(configKeys.includes(key), `${name}: ${key}`);
    }
  });

  it('gives each role a configuration that it accepts', () => {
    for (const [name, service] of ours.filter(([, s]) => s.environment?.DATABASE_HOST)) {
      const env = Object.entries(service.environment!).map(([key, value]) => [key, substituted(value)]);
      const { BOOTSTRAP_KEY_FILE, ...rest } = Object.fromEntries(env);
      // The file is in a volume, so the test sets the key itself.
      const given = BOOTSTRAP_KEY_FILE ? { ...rest, BOOTSTRAP_KEY: makeSecret('key') } : rest;
      assert.doesNotThrow(() => loadConfig(given), name);
    }
  });

  it('waits for services that exist: for health of permanent ones, for success of others', () => {
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

  it('uses host names of its services', () => {
    const urls = JSON.stringify(services).matchAll(/(?:http:\/\/|")([a-z-]+):\d{4}/g);
    const names = JSON.stringify(services).matchAll(/"(?:POSTGRES_SEEDS|\w*HOST)":"([a-z-]+)"/g);
    const hosts = new Set([...urls, ...names].map(([, host]) => host!));
    assert.ok(hosts.has('postgres') && hosts.has('temporal-postgres') && hosts.has('temporal'));
    for (const host of hosts) assert.ok(host in compose.services, `${host} is no service`);
  });

  it('loads workflows from the bundle in the image, in which every file is readable', () => {
    const dockerfile = read('Dockerfile');
    assert.match(dockerfile, /^ENV WORKFLOW_BUNDLE=\/app\/build\/workflows\.js$/m);
    assert.match(
      dockerfile,
      /^RUN npm run build:workflows && node deploy\/image\/slim\.ts && chmod -R u=rwX,go=rX \.$/m,
    );
    for (const [name, { volumes = [] }] of services) {
      for (const volume of volumes) assert.doesNotMatch(volume, /^[./]/, `${name} mounts from the checkout`);
    }
  });

  it('has no step before the API that needs Temporal', () => {
    const reached = new Set<string>();
    const visit = (name: string) => {
      reached.add(name);
      for (const needed of Object.keys(compose.services[name]!.depends_on ?? {})) visit(needed);
    };
    visit('api');
    assert.deepEqual(
      [...reached].filter((name) => name.startsWith('temporal')),
      [],
    );
  });

  it('mounts volumes that are declared, and shares files that exist', () => {
    for (const [name, { volumes = [] }] of services) {
      for (const [source] of volumes.map((volume) => volume.split(':'))) {
        assert.ok(source! in compose.volumes, `${name}: ${source}`);
      }
    }
    const [copy, , ...files] = compose.services.shared!.command!;
    assert.equal(copy, 'cp');
    const shared = files.slice(0, -1);
    for (const file of shared) assert.ok(existsSync(join(root, file)), file);
    // An empty volume gets the owner and mode of the directory that it is mounted on.
    assert.match(read('Dockerfile'), /install -d -o node -g node -m 755 \/shared$/m);
    const used = JSON.stringify(services).matchAll(/\/shared\/([a-z.-]+)/g);
    const names = shared.map((file) => file.split('/').at(-1));
    for (const [, name] of used) assert.ok(names.includes(name!), `/shared/${name} is not shared`);
  });

  it('gives Temporal our dynamic configuration, enough shards, a stable address, few connections', () => {
    const { environment = {} } = compose.services.temporal!;
    const file = environment.DYNAMIC_CONFIG_FILE_PATH!.replace('/shared', 'temporal-config');
    assert.ok(existsSync(join(root, file)), file);
    assert.equal(environment.NUM_HISTORY_SHARDS, '512');
    assert.equal(environment.TEMPORAL_BROADCAST_ADDRESS, '127.0.0.1');
    const pools = 4 * (Number(environment.SQL_MAX_CONNS) + Number(environment.SQL_VIS_MAX_CONNS));
    const { command = [] } = compose.services['temporal-postgres']!;
    const most = command.find((argument) => argument.startsWith('max_connections='))!.split('=')[1];
    assert.ok(pools < Number(most) - 10, `${pools} of ${most}`);
  });

  it('keeps events and workflows in different servers', () => {
    const { postgres, 'temporal-postgres': other } = compose.services;
    assert.notEqual(postgres!.volumes![0], other!.volumes![0]);
    assert.equal(compose.services.temporal!.environment!.POSTGRES_SEEDS, 'temporal-postgres');
  });
});
