import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { connect, type Orm, sqlOf, transaction } from '../../../db/orm.ts';
import { freshDatabase } from '../../support/servers.ts';
import { waitFor } from '../../support/wait-for.ts';

describe('the pool of connections', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let orm: Orm;
  let other: Orm;
  before(async () => {
    database = await freshDatabase();
    orm = await connect(database.url, 2);
    other = await connect(database.url, 1);
  });
  after(async () => {
    await orm.close(true);
    await other.close(true);
    await database.drop();
  });

  /**
   * Closes all other connections like a PostgreSQL that restarts, as soon as one of them is in this state.
   */
  const endAll = (state: string) =>
    waitFor(
      async () => {
        const { rows } = await sql<{ state: string }>`
          select state from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`.execute(
          sqlOf(other),
        );
        if (!rows.some((row) => row.state === state)) return false;
        await sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`.execute(sqlOf(other));
        return true;
      },
      { what: `a connection that is ${state}` },
    );

  it('loses no connection when PostgreSQL breaks transactions off, during a statement or between two', async () => {
    for (let i = 0; i < 3; i++) {
      const busy = assert.rejects(transaction(orm, (db) => sql`select pg_sleep(600)`.execute(db)));
      await endAll('active');
      await busy;
      const idle = assert.rejects(
        transaction(orm, async (db) => {
          await sql`select 1`.execute(db);
          await endAll('idle in transaction');
          await sql`select 1`.execute(db);
        }),
      );
      await idle;
    }
    const { rows } = await transaction(orm, (db) => sql`select 1`.execute(db));
    assert.equal(rows.length, 1);
  });

  it('loses no connection to a transaction that could not begin', async () => {
    for (let i = 0; i < 3; i++) {
      // The connection was closed just now, so the pool still considers it usable.
      await sql`select 1`.execute(sqlOf(orm));
      const pool = await orm.em.getConnection().getNativeClient();
      const client = await pool.connect();
      client.connection.stream.destroy();
      client.release();
      await assert.rejects(transaction(orm, (db) => sql`select 1`.execute(db)));
    }
    await transaction(orm, (db) => sql`select 1`.execute(db));
  });

  it('rolls a failed transaction back and reuses the same connection', async () => {
    const pid = async () =>
      (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(sqlOf(orm))).rows[0]!.pid;
    const before = await pid();
    await assert.rejects(
      transaction(orm, async (db) => {
        await sql`delete from rule_set`.execute(db);
        throw new Error('no');
      }),
      /no/,
    );
    assert.equal((await sql`select 1 from rule_set`.execute(sqlOf(orm))).rows.length, 1);
    assert.equal(await pid(), before);
  });
});
