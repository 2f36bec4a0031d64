import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { isSecret } from '../../domain/keys/key.ts';
import { compose, ours, read, root, scriptOf, services } from '../support/compose-file.ts';
import { spawnRole } from '../support/processes.ts';
import { temporaryDirectory } from '../support/temporary.ts';

describe('docker compose: security', () => {
  it('starts with no well-known secret, and says how secrets are made', () => {
    const secrets = read('docker-compose.yml').matchAll(/^ +\w*(?:PASSWORD|TOKEN|PWD): (.*)$/gm);
    for (const [line, value] of secrets) {
      assert.match(value!, /^\$\{[A-Z_]+:\?run \.\/deploy\/make-env\.sh once/, line);
    }
  });

  it('makes those secrets with only a shell, once', () => {
    const checkout = temporaryDirectory();
    mkdirSync(join(checkout, 'deploy'));
    copyFileSync(join(root, 'deploy/make-env.sh'), join(checkout, 'deploy/make-env.sh'));
    writeFileSync(join(checkout, '.env'), 'INGEST_TOKEN=kept-as-it-is-0123');
    const make = () => {
      const env = { PATH: process.env.PATH };
      const { status, stdout, stderr } = spawnSync('sh', ['deploy/make-env.sh'], { cwd: checkout, env });
      assert.equal(status, 0, String(stderr));
      return { output: String(stdout), file: readFileSync(join(checkout, '.env'), 'utf8') };
    };
    const first = make();
    const made = parseEnv(first.file);
    const needed = read('docker-compose.yml').matchAll(/\$\{([A-Z_]+):\?/g);
    for (const [, name] of needed) assert.ok((made[name!]?.length ?? 0) >= 14, name);
    assert.equal(made.INGEST_TOKEN, 'kept-as-it-is-0123');
    const passwords = Object.entries(made).filter(([name]) => name.endsWith('PASSWORD'));
    for (const [name, value] of passwords) assert.match(value!, /^[0-9a-f]{48}$/, name);
    assert.equal(new Set(Object.values(made)).size, Object.keys(made).length);
    assert.equal(statSync(join(checkout, '.env')).mode & 0o077, 0);
    for (const [, value] of passwords) assert.ok(!first.output.includes(value!), 'a secret was printed');
    assert.equal(make().file, first.file);
  });

  it('makes the first key once for all services, in a volume that only its maker can write', async () => {
    const { 'bootstrap-key': maker, api, samples } = compose.services;
    const file = maker!.command![2]!;
    assert.equal(file, '/keys/bootstrap');
    assert.deepEqual(maker!.volumes, ['keys:/keys']);
    for (const service of [api!, samples!]) {
      assert.equal(service.environment!.BOOTSTRAP_KEY_FILE, file);
      assert.ok(service.volumes!.includes('keys:/keys:ro'));
    }
    assert.ok('bootstrap-key' in api!.depends_on!);
    // An empty volume gets the owner and mode of the directory that it is mounted on.
    assert.match(read('Dockerfile'), /^RUN install -d -o node -g node -m 700 \/keys && /m);
    for (const [name, { environment = {} }] of ours) {
      if (environment.BOOTSTRAP_KEY_FILE) assert.ok(['api', 'samples'].includes(name), name);
    }
  });

  it('keeps the first key out of logs, even if two make it at once, and shows it on request', async () => {
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

  it('publishes ports on loopback only, and pins every image', () => {
    for (const [name, { ports = [], image }] of services) {
      for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
      if (image !== 'tocsin') assert.match(image!, /:\d+\.\d+(\.\d+)?/, `${name}: ${image} is not pinned`);
    }
    for (const [from] of read('Dockerfile').matchAll(/^FROM .*$/gm)) {
      assert.match(from, /^FROM node:24-bookworm-slim( AS made)?$/);
    }
  });

  it('pins actions of others to a commit', () => {
    const uses = read('.github/workflows/ci.yml').matchAll(/uses: (\S+)/g);
    for (const [, action] of uses) assert.match(action!, /@[0-9a-f]{40}$/);
  });

  it('publishes only the API, unless the Web UI is requested, which is then read-only', () => {
    const published = services.filter(([, { ports, profiles }]) => ports && !profiles).map(([name]) => name);
    assert.deepEqual(published, ['api']);
    const ui = compose.services['temporal-ui']!;
    assert.deepEqual(ui.profiles, ['ui']);
    assert.equal(ui.environment!.TEMPORAL_DISABLE_WRITE_ACTIONS, 'true');
  });

  it('gives no container privileges, endless logs, or all memory and processes of the host', () => {
    for (const [name, service] of services) {
      assert.deepEqual(service.cap_drop, ['ALL'], name);
      assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
      assert.ok(service.pids_limit! <= 512, name);
      assert.equal(service.logging?.driver, 'json-file', name);
      assert.ok(service.logging?.options['max-size'] && service.logging.options['max-file'], name);
      if (service.restart === 'unless-stopped') assert.match(service.mem_limit ?? '', /^\d+[mg]$/, name);
    }
    for (const [name, { read_only }] of ours) assert.ok(read_only, name);
  });

  it('gives the superuser only to the service that makes the roles, and the owner of the tables only to migrations', () => {
    const knows = (secret: string) =>
      services
        .filter(([, { environment = {} }]) =>
          Object.values(environment).some((value) => value.startsWith(`\${${secret}:`)),
        )
        .map(([name]) => name);
    assert.deepEqual(knows('POSTGRES_PASSWORD'), ['postgres', 'roles']);
    assert.deepEqual(knows('TOCSIN_OWNER_PASSWORD'), ['roles', 'migrate']);
    const { migrate, api } = compose.services;
    assert.equal(migrate!.environment!.DATABASE_USER, 'tocsin_owner');
    assert.equal(migrate!.environment!.DATABASE_GRANT_TO, api!.environment!.DATABASE_USER);
  });

  it('runs our roles without privileges and lets them finish their work', () => {
    assert.match(read('Dockerfile'), /^USER node$/m);
    for (const [name, service] of ours) {
      assert.equal(service.user, 'node', name);
      assert.equal(service.init, true, name);
      if (service.restart === 'unless-stopped') assert.ok(service.stop_grace_period, name);
    }
  });
});
