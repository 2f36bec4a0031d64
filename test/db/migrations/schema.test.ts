import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { migrationsList } from '../../../db/migrations/index.ts';
import { connect, type Orm, RAW_TABLES, sqlOf } from '../../../db/orm.ts';
import { spawnRole } from '../../support/processes.ts';
import { freshDatabase } from '../../support/servers.ts';

const root = join(import.meta.dirname, '../../..');

describe('the schema', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let orm: Orm;
  before(async () => {
    database = await freshDatabase();
    orm = await connect(database.url, 2);
  });
  after(async () => {
    await orm.close(true);
    await database.drop();
  });

  const migrate = async (url = database.url) => {
    const migration = await spawnRole(join(root, 'db/migrate.ts'), [], { DATABASE_URL: url });
    return { ...(await migration.exited), output: migration.output() };
  };

  it('made by the migrations is the one that the entities describe', async () => {
    assert.equal(await orm.schema.getUpdateSchemaSQL(), '');
  });

  it('gives the typed builder its tables and columns, and no others', async () => {
    const db = sqlOf(orm);
    const { role, at } = await db
      .insertInto('processes')
      .values({
        id: crypto.randomUUID(),
        role: 'api',
        started_at: new Date(0),
        beat_at: new Date(0),
        ingests: true,
      })
      .returning(['role', 'beat_at as at'])
      .executeTakeFirstOrThrow();
    const text: string = at;
    assert.deepEqual([role, Date.parse(text)], ['api', 0]);
    // @ts-expect-error: no entity has this column, and `npm run check:types` must say so.
    const misspelt = db.selectFrom('processes').select('beat');
    await assert.rejects(misspelt.execute(), /column "beat" does not exist/);
    // @ts-expect-error: no entity has this table.
    const unknown = db.selectFrom('process');
    await assert.rejects(unknown.execute(), /relation "process" does not exist/);
  });

  it('has every table either as an entity or in the list of raw tables', async () => {
    const { rows } = await sql<{ name: string }>`
      select relname as name from pg_class c join pg_namespace n on n.oid = relnamespace
      where nspname = 'public' and relkind in ('r', 'p') and relname <> 'migrations'`.execute(sqlOf(orm));
    const kept = new Set([...orm.getMetadata().getAll().values()].map(({ tableName }) => tableName));
    const unknown = rows.filter(
      ({ name }) =>
        !kept.has(name) &&
        !RAW_TABLES.some((raw) => (typeof raw === 'string' ? raw === name : raw.test(name))),
    );
    assert.deepEqual(unknown, []);
  });

  it('has every migration in the list, in order, under the name of its file', () => {
    const files = readdirSync(join(root, 'db/migrations'))
      .filter((name) => /^\d{14}-.*\.ts$/.test(name))
      .map((name) => name.slice(0, -'.ts'.length));
    assert.deepEqual(
      migrationsList.map(({ name }) => name),
      files.sort(),
    );
  });

  it('does not change when migrations run again', async () => {
    const { code, output } = await migrate();
    assert.equal(code, 0);
    assert.match(output, /schema is up to date/);
  });

  it('is created once by two concurrent migrations', async () => {
    const em = orm.em.fork();
    const name = `${new URL(database.url).pathname.slice(1)}_empty`;
    await em.execute(`create database ${name}`);
    const url = database.url.replace(/[^/]*$/, name);
    try {
      const runs = await Promise.all([migrate(url), migrate(url)]);
      assert.deepEqual(
        runs.map(({ code }) => code),
        [0, 0],
        runs.map(({ output }) => output).join('\n'),
      );
      const made = runs.filter(({ output }) => output.includes('migrated:'));
      assert.equal(made.length, 1, runs.map(({ output }) => output).join('\n'));
    } finally {
      await em.execute(`drop database ${name} with (force)`);
    }
  });

  it('cannot be created if nobody answers: one sentence and a failure', async () => {
    const { code, output } = await migrate('postgresql://nobody:secret@127.0.0.1:1/nowhere');
    assert.equal(code, 1);
    assert.match(output, /^migration failed: .+\n$/);
    assert.doesNotMatch(output, /secret/);
  });
});
