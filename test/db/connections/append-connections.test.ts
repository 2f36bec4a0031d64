import assert from 'node:assert/strict';
import pg from 'pg';
import { AppendConnections } from '../../../db/connections/append-connections.ts';
import { connect, type Orm } from '../../../db/orm.ts';
import { freshDatabase } from '../../support/servers.ts';

describe('connections for appends', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let orm: Orm;
  let connections: AppendConnections;
  let other: pg.Client;
  before(async () => {
    database = await freshDatabase();
    orm = await connect(database.url, 1);
    other = new pg.Client(database.url);
    await other.connect();
    await other.query('create table notes (n int primary key)');
  });
  beforeEach(async () => {
    await other.query('truncate notes');
    connections = new AppendConnections(orm, 1);
  });
  afterEach(() => connections.close());
  after(async () => {
    await other.end();
    await orm.close(true);
    await database.drop();
  });

  const note = { name: 'note', text: 'insert into notes values ($1)' };
  const count = { name: 'count', text: 'select count(*)::int as n from notes' };
  const backend = { name: 'backend', text: 'select pg_backend_pid() as pid' };
  const noted = async () => (await other.query<{ n: number }>(count.text)).rows[0]!.n;
  const pid = () =>
    connections.transaction(async ({ send, commit }) => {
      const [{ rows }] = await Promise.all([send<{ pid: number }>(backend), commit()]);
      return rows[0]!.pid;
    });

  it('run statements in the order sent, and each sees the effects of those before it', async () => {
    const seen = await connections.transaction(async ({ send, commit }) => {
      const sent = [send<{ n: number }>(count), send(note, [1]), send<{ n: number }>(count), send(note, [2])];
      const last = send<{ n: number }>(count);
      await commit();
      const [none, , one] = await Promise.all(sent);
      return [none, one, await last].map((result) => (result!.rows[0] as { n: number }).n);
    });
    assert.deepEqual(seen, [0, 1, 2]);
    assert.equal(await noted(), 2);
  });

  it('store nothing when a statement fails, whatever was sent after it, and remain usable', async () => {
    const before = await pid();
    for (const work of [1, 2]) {
      const failing = connections.transaction(({ send, commit }) =>
        Promise.all([send(note, [work]), send(note, [work]), send(note, [9]), commit()]),
      );
      await assert.rejects(failing, { code: '23505' });
    }
    assert.equal(await noted(), 0);
    assert.equal(await pid(), before);
  });

  it('do not take the answer to a commit of a failed transaction for a success', async () => {
    const failing = connections.transaction(async ({ send, commit }) => {
      await Promise.allSettled([send(note, [1]), send(note, [1])]);
      await commit();
    });
    await assert.rejects(failing, /failed before its commit/);
    assert.equal(await noted(), 0);
  });

  it('store nothing if the work throws before it commits', async () => {
    const failing = connections.transaction(async ({ send }) => {
      await send(note, [1]);
      throw new Error('enough');
    });
    await assert.rejects(failing, /enough/);
    assert.equal(await noted(), 0);
    await pid();
  });

  it('replace a connection that PostgreSQL has closed', async () => {
    const before = await pid();
    const failing = connections.transaction(async ({ send }) => {
      await send(note, [1]);
      await other.query('select pg_terminate_backend($1)', [before]);
      await send(note, [2]);
    });
    await assert.rejects(failing);
    assert.notEqual(await pid(), before);
    assert.equal(await noted(), 0);
  });
});
