import assert from 'node:assert/strict';
import { ConfigError, loadConfig } from '../../../config.ts';
import { readSettings } from '../../../embedded/settings.ts';

const URL = 'postgresql://tocsin:secret@db:5432/tocsin';

/**
 * The sentence with which these settings are refused, both by each process and by `npm start`, which shows it
 * without a stack.
 */
function refusal(env: Record<string, string>): string {
  assert.throws(() => readSettings(env), { name: 'StartupError' });
  try {
    loadConfig(env);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.doesNotMatch(error.message, /\n|secret|s3cr/);
    return error.message;
  }
  return assert.fail(`accepted ${JSON.stringify(env)}`);
}

describe('the address of PostgreSQL', () => {
  it('is made from its parts if there is no URL, whatever characters they contain', () => {
    const parts = { DATABASE_HOST: 'db', DATABASE_USER: 'me@work', DATABASE_PASSWORD: 'a/b#c:d%e?f' };
    const { DATABASE_URL } = loadConfig(parts);
    const { hostname, port, pathname, username, password } = new globalThis.URL(DATABASE_URL);
    assert.deepEqual([hostname, port, pathname], ['db', '5432', '/tocsin']);
    assert.deepEqual([username, password].map(decodeURIComponent), ['me@work', 'a/b#c:d%e?f']);
    assert.equal(loadConfig({ ...parts, DATABASE_URL: URL }).DATABASE_URL, URL);
    assert.equal(readSettings(parts).databaseUrl, DATABASE_URL);
    const six = loadConfig({ DATABASE_HOST: '::1', DATABASE_PORT: '5433', DATABASE_NAME: 'other' });
    assert.equal(six.DATABASE_URL, 'postgresql://tocsin@[::1]:5433/other');
  });

  it('may be a URL that names a Python driver', () => {
    for (const scheme of ['postgresql+psycopg', 'postgresql+asyncpg', 'postgres+psycopg2']) {
      assert.equal(
        loadConfig({ EMS_DATABASE_URL: `${scheme}://u:p@db/ems` }).DATABASE_URL,
        'postgresql://u:p@db/ems',
      );
    }
  });

  it('is refused if DATABASE_HOST is more than a host, and the error does not show it', () => {
    for (const DATABASE_HOST of [
      ...['db:5432', '[::1]:5432', '[::1]', 'postgresql://tocsin:secret@db/tocsin', 'tocsin:secret@db'],
      ...['db/tocsin', 'db?sslmode=require', 'db#', 'db,other', '/var/run/postgresql', 'a b', 'fe80::1%eth0'],
    ]) {
      assert.match(refusal({ DATABASE_HOST, DATABASE_PASSWORD: 'secret' }), /^DATABASE_HOST: must be a host/);
    }
    for (const DATABASE_HOST of ['db', 'db.example.com.', 'my_db-1', '10.0.0.5', '::1']) {
      assert.ok(loadConfig({ DATABASE_HOST }).DATABASE_URL);
    }
  });

  it('is refused if DATABASE_PORT is not a port', () => {
    for (const DATABASE_PORT of ['x', '0', '65536', '54 32', '-1', '5432/secret']) {
      assert.match(refusal({ DATABASE_HOST: 'db', DATABASE_PORT }), /^DATABASE_PORT: must be a port/);
    }
  });

  it('is refused if a % in DATABASE_URL is not part of an escape', () => {
    for (const DATABASE_URL of [
      ...[
        'postgres://tocsin:s3cr%et@db/tocsin',
        'postgres://s3cr%@db/tocsin',
        'postgres://a:s3cr%ff@db/tocsin',
      ],
      ...['postgresql://tocsin:secret@db/toc%sin', 'postgresql+psycopg://tocsin:s3cr%et@db/tocsin'],
    ]) {
      assert.match(refusal({ DATABASE_URL }), /^DATABASE_URL: has a % .*%25$/);
      assert.match(refusal({ EMS_DATABASE_URL: DATABASE_URL }), /^DATABASE_URL: has a % .*%25$/);
    }
    assert.ok(loadConfig({ DATABASE_URL: 'postgres://tocsin:s%25%C3%A9@db/tocsin' }));
  });

  it('is refused if DATABASE_URL is not a URL, or not one of PostgreSQL', () => {
    assert.match(
      refusal({ DATABASE_URL: 'postgres://u:secret#x@db/tocsin' }),
      /^DATABASE_URL: is not a valid URL/,
    );
    assert.match(refusal({ DATABASE_URL: 'mysql://u:secret@db/tocsin' }), /^DATABASE_URL: must begin with/);
  });
});
