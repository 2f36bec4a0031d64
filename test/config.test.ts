import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isLoopback } from '../api/auth/settings.ts';
import { ALIASES, ConfigError, configKeys, loadConfig } from '../config.ts';
import { parseNetwork } from '../domain/network.ts';
import { readSettings } from '../embedded/settings.ts';
import { temporaryDirectory } from './support/temporary.ts';

const URL = 'postgresql://tocsin:secret@db:5432/tocsin';
const KEY = `tk${'0aZ'.repeat(10)}`;
/** Secrets, which are required if others can reach the API. */
const OWN = { INGEST_TOKEN: 'a-token-of-our-own', BOOTSTRAP_KEY: KEY };
const START_ONLY = ['DATA_DIR', 'PG_PORT', 'TEMPORAL_PORT', 'TEMPORAL_UI_PORT', 'TEMPORAL_UI', 'SAMPLES'];

/** The settings of .env.example, as if none were commented out. */
function example(): Map<string, string> {
  const text = readFileSync(join(import.meta.dirname, '../.env.example'), 'utf8');
  const settings = [...text.matchAll(/^#([A-Z_]+)=(.*)$/gm)].map(([, key, value]) => [key!, value!] as const);
  assert.equal(new Set(settings.map(([key]) => key)).size, settings.length, 'a setting is there twice');
  assert.doesNotMatch(text, /^[A-Z]/m, 'a setting is not commented out');
  return new Map(settings);
}

/** The sentence with which these settings are refused. */
function refusal(env: Record<string, string>): string {
  try {
    loadConfig({ DATABASE_URL: URL, ...env });
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.doesNotMatch(error.message, /\n/);
    return error.message;
  }
  return assert.fail('accepted');
}

describe('.env.example', () => {
  it('has exactly the existing settings, those of npm start in a section of their own', () => {
    const keys = [...example().keys()];
    assert.deepEqual(keys.slice(0, -START_ONLY.length).sort(), [...configKeys].sort());
    assert.deepEqual(keys.slice(-START_ONLY.length), START_ONLY);
  });

  it('shows the defaults', () => {
    const shown = Object.fromEntries([...example()].filter(([key]) => configKeys.includes(key)));
    const { DATABASE_URL } = shown;
    assert.deepEqual(loadConfig(shown), loadConfig({ DATABASE_URL }));
    const start = Object.fromEntries([...example()].filter(([key]) => START_ONLY.includes(key)));
    // The example names only the first port for PostgreSQL that `npm start` tries.
    assert.deepEqual(readSettings(start), { ...readSettings({}), pgPort: 5433 });
  });
});

describe('npm start', () => {
  it('reaches the API at the address on which it listens', () => {
    for (const [HOST, url] of [
      ['', 'http://127.0.0.1:8000'],
      ['0.0.0.0', 'http://127.0.0.1:8000'],
      ['::', 'http://127.0.0.1:8000'],
      ['localhost', 'http://127.0.0.1:8000'],
      ['127.8.8.8', 'http://127.8.8.8:8000'],
      ['::1', 'http://[::1]:8000'],
      ['tocsin.example', 'http://tocsin.example:8000'],
    ] as const) {
      assert.equal(readSettings({ HOST }).apiUrl, url);
    }
  });
});

describe('the Temporal Web UI of npm start', () => {
  it('is read-only by default, and off if the API requires keys', () => {
    for (const [env, ui] of [
      [{}, 'read'],
      [{ TEMPORAL_UI: 'write' }, 'write'],
      [{ TEMPORAL_UI: 'off' }, 'off'],
      [{ AUTH: 'keys' }, 'off'],
      [{ HOST: '0.0.0.0' }, 'off'],
      [{ HOST: '0.0.0.0', TEMPORAL_UI: 'read' }, 'read'],
    ] as const) {
      assert.equal(readSettings(env).ui, ui);
    }
    assert.throws(
      () => readSettings({ TEMPORAL_UI: 'on' }),
      /^StartupError: TEMPORAL_UI must be read, write or off/,
    );
  });
});

describe('the configuration', () => {
  it('needs nothing but a database', () => {
    const config = loadConfig({ DATABASE_URL: URL });
    assert.equal(config.PORT, 8000);
    assert.deepEqual(config.CHANNELS, []);
    assert.ok(Object.isFrozen(config));
    assert.match(refusal({ DATABASE_URL: '' }), /^DATABASE_URL: /);
    assert.match(refusal({ DATABASE_URL: 'mysql://db/tocsin' }), /^DATABASE_URL: /);
  });

  it('accepts the names of the reference, and prefers ours if both are set', () => {
    assert.deepEqual(Object.values(ALIASES).sort(), ['DATABASE_URL', 'INGEST_TOKEN', 'TEMPORAL_ADDRESS']);
    const theirs = {
      EMS_DATABASE_URL: URL,
      EMS_INTERNAL_INGEST_TOKEN: 'theirs',
      EMS_TEMPORAL_ADDRESS: 'temporal:7233',
    };
    const config = loadConfig(theirs);
    assert.equal(config.DATABASE_URL, URL);
    assert.equal(config.INGEST_TOKEN, 'theirs');
    assert.equal(config.TEMPORAL_ADDRESS, 'temporal:7233');
    assert.equal(loadConfig({ INGEST_TOKEN: 'ours', ...theirs }).INGEST_TOKEN, 'ours');
    assert.equal(loadConfig({ ...theirs, INGEST_TOKEN: 'ours' }).INGEST_TOKEN, 'ours');
    assert.equal(loadConfig({ ...theirs, INGEST_TOKEN: '' }).INGEST_TOKEN, 'theirs');
  });

  it('refuses the well-known token if others can reach the API, and says what to do', () => {
    for (const HOST of ['0.0.0.0', '::', '10.0.0.5', 'tocsin.example']) {
      assert.match(refusal({ HOST, BOOTSTRAP_KEY: KEY }), new RegExp(`HOST is ${HOST}.*set INGEST_TOKEN`));
      assert.equal(loadConfig({ DATABASE_URL: URL, HOST, ...OWN }).HOST, HOST);
    }
    assert.match(refusal({ AUTH: 'keys', BOOTSTRAP_KEY: KEY }), /^AUTH is keys.*set INGEST_TOKEN/);
    for (const HOST of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) {
      assert.ok(isLoopback(HOST));
      assert.equal(loadConfig({ DATABASE_URL: URL, HOST }).HOST, HOST);
    }
    assert.ok(!isLoopback('127.0.0.1.evil.example'));
  });

  it('refuses a token that can be guessed if others can try, and accepts any on loopback', () => {
    for (const INGEST_TOKEN of ['x', 'fifteen bytes..']) {
      assert.match(
        refusal({ HOST: '0.0.0.0', BOOTSTRAP_KEY: KEY, INGEST_TOKEN }),
        /INGEST_TOKEN is shorter than 16 bytes/,
      );
      assert.match(refusal({ AUTH: 'keys', BOOTSTRAP_KEY: KEY, INGEST_TOKEN }), /shorter than 16 bytes/);
      assert.equal(loadConfig({ DATABASE_URL: URL, INGEST_TOKEN }).INGEST_TOKEN, INGEST_TOKEN);
    }
  });

  it('refuses a token that cannot be sent in a header', () => {
    for (const INGEST_TOKEN of [
      'a-longer-t\u00f6ken',
      ' a-token-with-a-space',
      'a-token-with-a-tab\t',
      'two\nlines-of-it',
    ]) {
      assert.match(refusal({ INGEST_TOKEN }), /^INGEST_TOKEN: must be ASCII/, JSON.stringify(INGEST_TOKEN));
    }
    const INGEST_TOKEN = 'words with spaces, and "quotes"';
    assert.equal(loadConfig({ DATABASE_URL: URL, INGEST_TOKEN }).INGEST_TOKEN, INGEST_TOKEN);
  });

  it('accepts proxies as addresses and networks', () => {
    const { TRUSTED_PROXIES } = loadConfig({
      DATABASE_URL: URL,
      TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8,fd00::/8',
    });
    assert.deepEqual(TRUSTED_PROXIES, ['127.0.0.1', '10.0.0.0/8', 'fd00::/8']);
    for (const TRUSTED_PROXIES of [
      ...['nginx', '10.0.0.0/33', '1', '10.0.0.1;10.0.0.2', '10/8', '10.1', '0x7f.0.0.1', '10.0.0.0/', '/8'],
      // ipaddr.js reads the leading zero as octal: 8.0.0.0/8, a network of somebody else.
      ...['010.0.0.0/8', '10.0.0.0/-1', '::ffff:10.0.0.0/95', '::1/129', '10.0.0.0/8/8'],
    ]) {
      assert.match(refusal({ TRUSTED_PROXIES }), /^TRUSTED_PROXIES: must be addresses and networks/);
      assert.match(
        refusal({ HTTP_CHECK_NETWORKS: TRUSTED_PROXIES }),
        /^HTTP_CHECK_NETWORKS: must be addresses and networks/,
      );
    }
    assert.equal(parseNetwork('::ffff:10.0.0.0/104')?.join('/'), '10.0.0.0/8');
  });

  it('requires keys if others can reach the API, and none on loopback by default', () => {
    assert.equal(loadConfig({ DATABASE_URL: URL }).AUTH, 'open');
    assert.equal(loadConfig({ DATABASE_URL: URL, AUTH: 'keys', ...OWN }).AUTH, 'keys');
    for (const HOST of ['0.0.0.0', 'tocsin.example']) {
      assert.equal(loadConfig({ DATABASE_URL: URL, HOST, ...OWN }).AUTH, 'keys');
      assert.match(refusal({ HOST, AUTH: 'open', ...OWN }), new RegExp(`HOST is ${HOST}.*AUTH is open`));
    }
  });

  it('refuses to require keys without a bootstrap key', () => {
    for (const [key, value] of [
      ['HOST', '0.0.0.0'],
      ['AUTH', 'keys'],
    ] as const) {
      assert.match(
        refusal({ [key]: value, INGEST_TOKEN: OWN.INGEST_TOKEN }),
        /set BOOTSTRAP_KEY to tk and 30/,
      );
    }
    for (const BOOTSTRAP_KEY of [
      'secret',
      KEY.slice(1),
      `${KEY}x`,
      KEY.replace('tk', 'kt'),
      KEY.replace('k', '-'),
    ]) {
      assert.match(refusal({ BOOTSTRAP_KEY }), /^BOOTSTRAP_KEY: must be tk and 30/);
    }
  });

  it('reads the key from a file, and says what is wrong with the file', () => {
    const file = join(temporaryDirectory(), 'key');
    writeFileSync(file, `${KEY}\n`);
    const env = { DATABASE_URL: URL, HOST: '0.0.0.0', INGEST_TOKEN: OWN.INGEST_TOKEN };
    assert.equal(loadConfig({ ...env, BOOTSTRAP_KEY_FILE: file }).BOOTSTRAP_KEY, KEY);
    assert.match(refusal({ ...env, BOOTSTRAP_KEY_FILE: '/nowhere' }), /^BOOTSTRAP_KEY_FILE: ENOENT/);
    writeFileSync(file, '');
    assert.match(refusal({ ...env, BOOTSTRAP_KEY_FILE: file }), /^BOOTSTRAP_KEY: must be tk and 30/);
  });

  it('accepts bytes with units', () => {
    for (const [DISK_BYTES, bytes] of [
      ['1000', 1000],
      ['512kB', 512 * 1024],
      ['1.5 GiB', 1.5 * 2 ** 30],
      ['2T', 2 ** 41],
    ] as const) {
      assert.equal(loadConfig({ DATABASE_URL: URL, DISK_BYTES }).DISK_BYTES, bytes);
    }
  });

  it('names the invalid setting', () => {
    for (const [key, value] of [
      ['PORT', 'http'],
      ['PORT', '65536'],
      ['PORT', '80.5'],
      ['DATABASE_POOL', '1'],
      ['INGEST_RATE_LIMIT', '0'],
      ['INGEST_RATE_LIMIT', 'Infinity'],
      ['RETENTION_DAYS', '-1'],
      ['LOG_LEVEL', 'loud'],
      ['TEMPORAL_ADDRESS', 'http://temporal:7233'],
      ['TEMPORAL_ADDRESS', 'temporal'],
      ['PUBLIC_URL', 'ftp://x'],
      ['DISK_BYTES', 'much'],
      ['DISK_WARN_PERCENT', '101'],
      ['DISK_REFUSE_PERCENT', '-1'],
    ] as const) {
      assert.match(refusal({ [key]: value }), new RegExp(`^${key}: `), value);
    }
  });
});

describe('channels', () => {
  const hook = { kind: 'webhook', name: 'ops', url: 'https://ops.example/hook' };
  const mail = {
    kind: 'email',
    name: 'duty',
    smtp: 'smtp://mail:25',
    from: 'a@b.example',
    to: ['c@d.example'],
  };

  it('are a JSON list, from the environment or from a file', () => {
    const list = JSON.stringify([hook, mail]);
    const given = loadConfig({ DATABASE_URL: URL, CHANNELS: list }).CHANNELS;
    assert.deepEqual(given, [{ ...hook, secrets: [] }, mail]);
    const dir = temporaryDirectory();
    mkdirSync(dir, { recursive: true });
    const file = join(dir, 'channels.json');
    writeFileSync(file, list);
    assert.deepEqual(loadConfig({ DATABASE_URL: URL, CHANNELS_FILE: file }).CHANNELS, given);
    assert.match(refusal({ CHANNELS_FILE: `${file}.gone` }), /^CHANNELS_FILE: .*channels\.json\.gone/);
  });

  it('in the README are valid', () => {
    const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
    const [, sample] = /```json\n(\[[^`]*)```/.exec(readme) ?? [];
    assert.equal(loadConfig({ DATABASE_URL: URL, CHANNELS: sample! }).CHANNELS.length, 3);
  });

  it('that would fail only when something is sent are refused at once, without their secrets', () => {
    const refuse = (channel: object) => refusal({ CHANNELS: JSON.stringify([channel]) });
    const secret = (bytes: number) => `whsec_${Buffer.alloc(bytes, 'ab').toString('base64')}`;
    assert.match(refuse({ ...hook, url: 'https://u:p%ZZ@h/' }), /^CHANNELS: 0\.url: has a % in [^Z]*$/);
    assert.match(refuse({ ...mail, smtp: 'smtp://u:p%ZZ@h' }), /^CHANNELS: 0\.smtp: has a % in /);
    assert.match(refuse({ ...hook, secrets: [secret(23)] }), /^CHANNELS: 0\.secrets\.0: .*but has 23$/);
    assert.match(refuse({ ...hook, secrets: [secret(65)] }), /^CHANNELS: 0\.secrets\.0: .*but has 65$/);
    assert.match(refuse({ ...hook, secrets: [`${secret(24)}a`] }), /^CHANNELS: 0\.secrets\.0: is not whole/);
    assert.match(refuse({ ...hook, name: 'o\nps' }), /^CHANNELS: 0\.name: .*control characters/);
    const good = { ...hook, url: 'https://u:p%25@h/', secrets: [secret(24), secret(64)] };
    assert.deepEqual(loadConfig({ DATABASE_URL: URL, CHANNELS: JSON.stringify([good]) }).CHANNELS, [good]);
  });

  it('that are invalid are refused with their position in the list', () => {
    const refuse = (...channels: object[]) => refusal({ CHANNELS: JSON.stringify(channels) });
    assert.match(refusal({ CHANNELS: '[' }), /^CHANNELS: must be a JSON list/);
    assert.match(refusal({ CHANNELS: '{}' }), /^CHANNELS: /);
    assert.match(refuse(hook, { ...hook, name: 'two', url: 'ftp://x' }), /^CHANNELS: 1\.url: /);
    assert.match(refuse({ ...hook, kind: 'pigeon' }), /^CHANNELS: 0\.kind: /);
    assert.match(
      refuse({ ...hook, secrets: [`whsec_${'a'.repeat(32)}`, 'secret'] }),
      /^CHANNELS: 0\.secrets\.1: .*whsec_/,
    );
    assert.match(refuse({ ...mail, to: ['c@d.example', 'nobody'] }), /^CHANNELS: 0\.to\.1: /);
    assert.match(refuse({ ...mail, to: [] }), /^CHANNELS: 0\.to: /);
    assert.match(refuse({ ...hook, ulr: 'https://x' }), /^CHANNELS: 0.*ulr/);
    assert.match(refuse(hook, { ...mail, name: 'ops' }), /^CHANNELS: two channels have the same name/);
  });
});
