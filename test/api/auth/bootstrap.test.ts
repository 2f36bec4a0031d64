import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { pino } from 'pino';
import { openDoor } from '../../../api/auth/door.ts';
import { addressesBehind } from '../../../api/http/address.ts';
import { connect, type Orm, sqlOf } from '../../../db/orm.ts';
import { insertKey, listKeys, prefixOf } from '../../../db/queries/keys/keys.ts';
import { hashOf, makeSecret } from '../../../domain/keys/key.ts';
import { freshDatabase } from '../../support/servers.ts';
import { waitFor } from '../../support/wait-for.ts';

describe('the bootstrap key', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let orm: Orm;
  beforeEach(async () => {
    database = await freshDatabase();
    orm = await connect(database.url, 4);
  });
  afterEach(async () => {
    await orm.close(true);
    await database.drop();
  });

  /** Stores a bootstrap key like a separate API process. Returns what it logs. */
  const open = (bootstrapKey: string) => {
    const lines: string[] = [];
    const log = pino({ level: 'info' }, { write: (line) => lines.push(line) });
    const door = openDoor({
      orm,
      clock: Date.now,
      log,
      auth: 'keys',
      ingestToken: 'own',
      bootstrapKey,
      publicUrl: 'http://127.0.0.1:8000',
      addresses: addressesBehind([]),
    });
    const told = (what: string) => waitFor(() => lines.some((line) => line.includes(what)), { what });
    return { ...door, told };
  };
  const states = async () =>
    (await listKeys(orm, { limit: 10 })).map(({ prefix, revokedAt }) => [prefix, revokedAt !== null]);

  it('the bootstrap key is recorded once PostgreSQL has its tables; until then no key can be checked', async () => {
    const secret = makeSecret('key');
    await sql`alter table api_keys rename to elsewhere`.execute(sqlOf(orm));
    const door = open(secret);
    await door.told('could not store the bootstrap key yet');
    await assert.rejects(door.access.admitKey(secret, 'admin'), { status: 503 });
    await sql`alter table elsewhere rename to api_keys`.execute(sqlOf(orm));
    await door.told('is stored');
    assert.deepEqual(
      [...(await door.access.admitKey(secret, 'admin')).roles],
      ['ingest', 'read', 'operate', 'admin'],
    );
    await door.close();
  });

  it('several processes that start with the same bootstrap key record it once', async () => {
    const secret = makeSecret('key');
    const doors = Array.from({ length: 4 }, () => open(secret));
    await Promise.all(doors.map(({ told }) => told('is stored')));
    assert.deepEqual(await states(), [[prefixOf(secret), false]]);
    await Promise.all(doors.map(({ close }) => close()));
  });

  it('a new bootstrap key ends the previous one and no other key', async () => {
    const [first, second, own] = [makeSecret('key'), makeSecret('key'), makeSecret('key')];
    const one = open(first);
    await one.told('is stored');
    const given = {
      name: 'own',
      roles: ['read' as const],
      rateLimit: null,
      sources: null,
      createdBy: 'bootstrap',
    };
    await insertKey(orm, { ...given, hash: hashOf(own), prefix: prefixOf(own), expiresAt: null }, Date.now());
    const two = open(second);
    await two.told('is stored');
    const ended = new Map((await states()) as [string, boolean][]);
    assert.deepEqual(
      [first, own, second].map((secret) => ended.get(prefixOf(secret))),
      [true, false, false],
    );
    assert.equal((await two.access.admitKey(own, 'read')).name, 'own');
    await Promise.all([one.close(), two.close()]);
  });

  it('a key with fewer roles cannot become administrator by being configured as bootstrap key', async () => {
    const secret = makeSecret('key');
    const given = {
      name: 'reader',
      roles: ['read' as const],
      rateLimit: null,
      sources: null,
      createdBy: 'bootstrap',
    };
    await insertKey(
      orm,
      { ...given, hash: hashOf(secret), prefix: prefixOf(secret), expiresAt: null },
      Date.now(),
    );
    const door = open(secret);
    await door.told('created without the role admin');
    await assert.rejects(door.access.admitKey(secret, 'admin'), { status: 403 });
    await door.close();
  });
});
