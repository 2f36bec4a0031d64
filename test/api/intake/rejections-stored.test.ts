import assert from 'node:assert/strict';
import pg from 'pg';
import { Registry } from 'prom-client';
import { Rejections } from '../../../api/intake/rejections/rejections.ts';
import { connect, type Orm } from '../../../db/orm.ts';
import { unobserved } from '../../../ingest/observer.ts';
import { openDatabase } from '../../support/stage/database.ts';
import { silent } from '../../support/stage/log.ts';
import { openStage } from '../../support/stage/stage.ts';
import { refusal } from './refusal.ts';

describe('rejections while PostgreSQL is down', () => {
  const NOON = Date.UTC(2026, 4, 4, 12);
  const counting = (orm: Orm) =>
    new Rejections({ orm, clock: () => NOON, log: silent, registry: new Registry(), observer: unobserved });

  it('rejections add up, the last few are kept in memory, and all are stored once PostgreSQL is back', async () => {
    const { url, orm, close } = await openStage((closing) => openDatabase(closing, { connections: 2 }));
    const client = new pg.Client(url);
    await client.connect();
    try {
      await client.query('alter table rejections rename to away');
      const rejections = counting(orm);
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 12; i++) rejections.note(refusal({ detail: `${round}` }));
        await rejections.flush();
      }
      await client.query('alter table away rename to rejections');
      await rejections.flush();
      await rejections.flush();
      const counts = await client.query('select n::int from rejection_counts');
      assert.deepEqual(counts.rows, [{ n: 48 }]);
      const last = await client.query('select detail from rejections order by id');
      assert.deepEqual(
        last.rows.map(({ detail }) => detail),
        [...Array(8).fill('2'), ...Array(12).fill('3')],
      );
    } finally {
      await client.end();
      await close();
    }
  });

  it('a rejection that PostgreSQL always refuses does not prevent others from being written', async () => {
    const { orm, close } = await openStage((closing) => openDatabase(closing, { connections: 2 }));
    try {
      const rejections = counting(orm);
      rejections.note(refusal({ route: 'x'.repeat(200) }));
      await rejections.flush();
      rejections.note(refusal({ key: 'k'.repeat(200), key_name: 'n'.repeat(500), detail: 'd'.repeat(900) }));
      await rejections.flush();
      const rows = await orm.em.fork().execute('select length(key) as key from rejections');
      assert.deepEqual(rows, [{ key: 64 }]);
    } finally {
      await close();
    }
  });

  it('rejections take bounded memory, whoever sends', async () => {
    const away = await connect('postgresql://tocsin:secret@127.0.0.1:1/tocsin', 1);
    const rejections = counting(away);
    try {
      for (let key = 0; key < 2000; key++) rejections.note(refusal({ key: `key-${key}` }));
      assert.equal(rejections.held, 500);
    } finally {
      await away.close(true);
    }
  });

  it('two processes write rejections at once without a deadlock', async () => {
    const { orm, close } = await openStage((closing) => openDatabase(closing, { connections: 4 }));
    try {
      const two = [counting(orm), counting(orm)];
      for (let round = 0; round < 10; round++) {
        for (const [i, rejections] of two.entries()) {
          for (const reason of i === 0 ? ['a', 'b', 'c'] : ['c', 'b', 'a']) {
            for (let n = 0; n < 8; n++) rejections.note(refusal({ reason }));
          }
        }
        await Promise.all(two.map((rejections) => rejections.flush()));
      }
      assert.ok(
        two.every(({ held }) => held === 0),
        'a write failed',
      );
      const [counts] = await orm.em.fork().execute('select sum(n)::int as n from rejection_counts');
      assert.deepEqual(counts, { n: 480 });
    } finally {
      await close();
    }
  });
});
