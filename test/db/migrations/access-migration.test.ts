import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { connect, sqlOf } from '../../../db/orm.ts';
import { freshDatabase } from '../../support/servers.ts';

describe('an upgrade of keys', () => {
  it('renames valid keys that share a name, except the oldest; revoked keys and the bootstrap key stay as they are', async () => {
    const database = await freshDatabase();
    const orm = await connect(database.url, 2);
    try {
      const db = sqlOf(orm);
      // The database as it was before the migration.
      await sql`drop index api_keys_name_unique`.execute(db);
      await sql`alter table api_keys drop column sources`.execute(db);
      for (const table of ['received_alerts', 'past_received_alerts']) {
        await sql`alter table ${sql.table(table)} drop column senders`.execute(db);
      }
      await sql`delete from migrations where name = '20261127000050-access'`.execute(db);
      const id = (n: number) => `0000000${n}-0000-4000-8000-000000000000`;
      const key = (n: number, name: string, more: { revoked?: boolean; bootstrap?: boolean } = {}) =>
        sql`
          insert into api_keys (id, name, hash, prefix, roles, bootstrap, created_at, created_by, revoked_at)
          values (${id(n)}::uuid, ${name}, ${String(n)}, 'tk', '["read"]', ${more.bootstrap ?? false},
            now() + ${n} * interval '1 second', 'ada', ${more.revoked ? sql`now()` : null})`.execute(db);
      await key(1, 'prometheus', { revoked: true });
      await key(2, 'prometheus');
      await key(3, 'Prometheus');
      await key(4, 'prometheus', { revoked: true });
      await key(5, 'x'.repeat(100));
      await key(6, 'x'.repeat(100));
      await key(7, 'bootstrap', { bootstrap: true });
      await key(8, 'Bootstrap');
      await orm.migrator.up();
      const { rows } = await sql<{ name: string }>`select name from api_keys order by created_at`.execute(db);
      assert.deepEqual(
        rows.map(({ name }) => name),
        [
          'prometheus',
          'prometheus',
          'Prometheus (00000003)',
          'prometheus',
          'x'.repeat(100),
          `${'x'.repeat(60)} (00000006)`,
          'bootstrap',
          'Bootstrap (00000008)',
        ],
      );
    } finally {
      await orm.close(true);
      await database.drop();
    }
  });
});
