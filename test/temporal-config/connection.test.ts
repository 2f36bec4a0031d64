import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { ConfigError, loadConfig } from '../../config.ts';
import { readSettings } from '../../embedded/settings.ts';
import { connectTo, readTemporal, withoutTemporal } from '../../temporal-config/connection.ts';
import { spawnRole } from '../support/processes.ts';
import { freshDatabase, freshNamespace, temporalAddress } from '../support/servers.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { waitFor } from '../support/wait-for.ts';
import { hasOpenssl, makeCertificates, tlsProxy } from './tls-proxy.ts';

const DATABASE_URL = 'postgresql://tocsin:secret@db:5432/tocsin';
const KEY = 'a-secret.api-key';

describe('the settings for Temporal', () => {
  const target = (env: Record<string, string>) => readTemporal(env);

  it('are an address and a namespace, without TLS, as before', () => {
    assert.deepEqual(target({}), {
      ...{ address: '127.0.0.1:7233', namespace: 'default' },
      options: { address: '127.0.0.1:7233' },
    });
    const given = { TEMPORAL_ADDRESS: 'temporal:7233', TEMPORAL_NAMESPACE: 'ours', TEMPORAL_API_KEY: '' };
    assert.deepEqual(target(given), {
      ...{ address: 'temporal:7233', namespace: 'ours' },
      options: { address: 'temporal:7233' },
    });
    assert.equal(target({ EMS_TEMPORAL_ADDRESS: 'theirs:7233' }).address, 'theirs:7233');
  });

  it('turn TLS on with an API key, and are refused if they would send it unencrypted', () => {
    const cloud = { TEMPORAL_ADDRESS: 'ours.acct.tmprl.cloud:7233', TEMPORAL_API_KEY: `${KEY}\n` };
    assert.deepEqual(target(cloud).options, { address: cloud.TEMPORAL_ADDRESS, apiKey: KEY, tls: true });
    assert.throws(
      () => target({ ...cloud, TEMPORAL_TLS: 'false' }),
      /^ConfigError: TEMPORAL_API_KEY: would be sent/,
    );
    const sidecar = { ...cloud, TEMPORAL_TLS: 'FALSE', TEMPORAL_ADDRESS: 'localhost:7233' };
    assert.equal(target(sidecar).options.tls, false);
    assert.ok(target({ TEMPORAL_TLS: 'True' }).options.tls);
  });

  it('are refused in one sentence that names the setting and contains no secret', () => {
    const toml = join(temporaryDirectory(), 'temporal.toml');
    writeFileSync(toml, `[profile.default]\napi_key = "${KEY}\n`);
    for (const [env, sentence] of [
      [{ TEMPORAL_TLS: 'yes' }, /^TEMPORAL_TLS: must be true or false$/],
      [{ TEMPORAL_ADDRESS: 'http://temporal:7233' }, /^TEMPORAL_ADDRESS: must be host:port$/],
      [{ TEMPORAL_API_KEY: `${KEY} ${KEY}` }, /^TEMPORAL_API_KEY: has characters/],
      [{ TEMPORAL_TLS_CLIENT_KEY_DATA: KEY }, /^TEMPORAL_\*: a client certificate needs its key/],
      [
        { TEMPORAL_TLS_CLIENT_KEY_DATA: KEY, TEMPORAL_TLS_CLIENT_CERT_DATA: KEY },
        /^TEMPORAL_TLS_\*: a certificate or key can't be used/,
      ],
      [
        { TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/not/there.pem' },
        /^TEMPORAL_\*: \/not\/there.pem can't be read/,
      ],
      [
        { TEMPORAL_CONFIG_FILE: '/not/there.toml' },
        /^TEMPORAL_\*: \/not\/there.toml can't be read \(ENOENT\)$/,
      ],
      [{ TEMPORAL_CONFIG_FILE: toml }, /^TEMPORAL_\*: the configuration file is not valid TOML \(line 2\)$/],
      [{ TEMPORAL_SETUP: 'no' }, /^TEMPORAL_SETUP/],
    ] as const) {
      assert.throws(
        () => loadConfig({ DATABASE_URL, ...env }),
        (error) =>
          error instanceof ConfigError && sentence.test(error.message) && !error.message.includes(KEY),
        JSON.stringify(env),
      );
    }
  });

  it("read a profile of Temporal's own configuration file, but only one that they name", () => {
    const home = temporaryDirectory();
    const file = join(home, 'temporal.toml');
    writeFileSync(
      file,
      `[profile.cloud]\naddress = "cloud:7233"\nnamespace = "theirs"\napi_key = "${KEY}"\n[profile.default]\naddress = "other:7233"\n`,
    );
    const named = { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'cloud' };
    const config = loadConfig({ DATABASE_URL, ...named });
    assert.deepEqual(
      [config.TEMPORAL_ADDRESS, config.TEMPORAL_NAMESPACE, config.temporal.apiKey],
      ['cloud:7233', 'theirs', KEY],
    );
    assert.equal(target({ ...named, TEMPORAL_NAMESPACE: 'ours' }).namespace, 'ours');
    assert.equal(target({ XDG_CONFIG_HOME: home, HOME: home }).address, '127.0.0.1:7233');
    assert.equal(readSettings(named).temporal?.address, 'cloud:7233');
  });

  it('do not affect the server that npm start brings', () => {
    const env = { PATH: '/bin', TEMPORAL_API_KEY: KEY, TEMPORAL_TLS: 'true', TEMPORAL_UI_URL: 'http://ui' };
    assert.equal(readSettings(env).temporal, undefined);
    assert.deepEqual(withoutTemporal(env), { PATH: '/bin', TEMPORAL_UI_URL: 'http://ui' });
  });
});

describe('a Temporal server behind TLS', function () {
  this.timeout(120_000);
  let certificates: ReturnType<typeof makeCertificates>;
  let namespace: string;
  before(async function () {
    if (!hasOpenssl()) {
      console.log('      skipped: openssl, which makes the certificates, is not installed');
      this.skip();
    }
    certificates = makeCertificates();
    namespace = await freshNamespace();
  });
  const env = (address: string, more: Record<string, string> = {}) => ({
    ...{ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace },
    ...{ TEMPORAL_TLS_SERVER_CA_CERT_PATH: certificates.ca, TEMPORAL_TLS_SERVER_NAME: 'temporal.test' },
    ...more,
  });

  it('accepts the API and the workers by their certificate, and nobody without one', async () => {
    const proxy = await tlsProxy(await temporalAddress(), certificates, { mutual: true });
    const database = await freshDatabase();
    const { cert, key } = certificates.client;
    const settings = env(proxy.address, {
      TEMPORAL_TLS_CLIENT_CERT_DATA: readFileSync(cert, 'utf8'),
      TEMPORAL_TLS_CLIENT_KEY_PATH: key,
    });
    try {
      const { temporal } = loadConfig({ DATABASE_URL, ...settings });
      const connection = Connection.lazy(temporal);
      const client = new Client({ connection, namespace });
      const found = await client.workflowService.describeNamespace({ namespace });
      assert.equal(found.namespaceInfo?.name, namespace);
      await connection.close();
      const before = proxy.seen.length;
      const worker = await spawnRole('workers/main.ts', ['notify'], {
        ...{ DATABASE_URL: database.url, CHANNELS: '', LOG_LEVEL: 'info' },
        ...settings,
      });
      await waitFor(
        () => proxy.seen.slice(before).some(({ path }) => path.endsWith('PollActivityTaskQueue')),
        {
          what: 'the worker to poll',
          timeoutMs: 30_000,
        },
      );
      worker.kill();
      assert.equal((await worker.exited).code, 0, worker.output());
      assert.ok(proxy.seen.every((call) => call.client === 'tocsin'));
      await assert.rejects(connectTo(readTemporal(env(proxy.address)), 2_000));
    } finally {
      await proxy.close();
      await database.drop();
    }
  });

  it('gets the API key with each call; logs and errors contain nothing of it', async () => {
    const proxy = await tlsProxy(await temporalAddress(), certificates, { mutual: false });
    const settings = env(proxy.address, { TEMPORAL_API_KEY: KEY });
    try {
      const setup = await spawnRole('temporal-config/setup.ts', [], settings);
      assert.equal((await setup.exited).code, 0, setup.output());
      assert.ok(proxy.seen.some(({ path }) => path.endsWith('RegisterNamespace')));
      assert.ok(proxy.seen.every(({ authorization }) => authorization === `Bearer ${KEY}`));
      const unknown = await spawnRole('workers/main.ts', ['notify'], {
        ...{ DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none', CHANNELS: '' },
        ...{ ...settings, TEMPORAL_TLS_SERVER_NAME: 'another.test' },
      });
      assert.equal((await unknown.exited).code, 1);
      assert.match(unknown.output(), /Temporal does not answer at/);
      for (const role of [setup, unknown]) assert.ok(!role.output().includes(KEY));
    } finally {
      await proxy.close();
    }
  });

  it('is left as it is with TEMPORAL_SETUP=skip, and setup says so', async () => {
    const proxy = await tlsProxy(await temporalAddress(), certificates, { mutual: false });
    const setup = await spawnRole(
      'temporal-config/setup.ts',
      [],
      env(proxy.address, { TEMPORAL_SETUP: 'skip' }),
    );
    assert.equal((await setup.exited).code, 0);
    assert.match(setup.output(), /^TEMPORAL_SETUP=skip: namespace \S+ at \S+ is left as it is$/m);
    assert.deepEqual(proxy.seen, []);
    await proxy.close();
  });
});
