import assert from 'node:assert/strict';
import { join } from 'node:path';
import pg from 'pg';
import { connect } from '../../../db/orm.ts';
import { spawnRole } from '../../support/processes.ts';
import { postgresUrl } from '../../support/servers.ts';
import { waitFor } from '../../support/wait-for.ts';

/** The last migration of release 0.1.0. */
const RELEASED = '20261125000004-rejections';

describe('a migration of a running system', () => {
  let admin: pg.Client;
  let name: string;
  let url: string;
  let judge: pg.Client;
  let append: pg.Client;
  beforeEach(async () => {
    const server = await postgresUrl();
    admin = new pg.Client(server);
    await admin.connect();
    name = `migrated_${crypto.randomUUID().slice(0, 8)}`;
    await admin.query(`create database ${name}`);
    const own = new URL(server);
    own.pathname = `/${name}`;
    url = own.href;
    const orm = await connect(url, 1);
    await orm.migrator.up({ to: RELEASED });
    await orm.close(true);
    judge = new pg.Client(url);
    append = new pg.Client(url);
    await judge.connect();
    await append.connect();
    await append.query(`set lock_timeout = '5s'`);
  });
  afterEach(async () => {
    await judge.end();
    await append.end();
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  });

  const migrate = () =>
    spawnRole(join(import.meta.dirname, '../../../db/migrate.ts'), [], { DATABASE_URL: url });
  const isWaiting = (table: string) =>
    waitFor(
      async () =>
        (await append.query('select from pg_locks where not granted and relation = $1::regclass', [table]))
          .rowCount! > 0,
      { what: `the migration to wait for ${table}`, timeoutMs: 30_000, everyMs: 10 },
    );

  it('does not block appends while it waits for a judge, or indexes incidents', async () => {
    await judge.query('begin');
    await judge.query('lock table alert_incidents in row exclusive mode');
    const migration = await migrate();
    await isWaiting('alert_incidents');
    await append.query('select count(*) from rule_groups');
    await append.query('select count(*) from rule_versions');
    await judge.query('commit');
    assert.equal((await migration.exited).code, 0, migration.output());
  });

  it('makes nobody wait for long while it waits for a long transaction', async () => {
    await judge.query('begin');
    await judge.query('select count(*) from rule_versions');
    const migration = await migrate();
    for (let n = 0; n < 2; n++) {
      await isWaiting('rule_versions');
      await append.query('select count(*) from rule_versions');
    }
    await judge.query('commit');
    assert.equal((await migration.exited).code, 0, migration.output());
    const { rows } = await append.query<{ n: number }>(
      `select count(*)::int as n from migrations where name > $1`,
      [RELEASED],
    );
    assert.ok(rows[0]!.n >= 7);
  });
});
