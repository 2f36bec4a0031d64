import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { DeadLetterEntity } from '../../db/entities/dead-letter.ts';
import { connect, managerOf, type Orm, sqlOf } from '../../db/orm.ts';
import { following } from '../../db/paging.ts';
import { listDeadLetters } from '../../db/queries/dead-letters/reads.ts';
import { freshDatabase } from '../support/servers.ts';

describe('a page of dead letters', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let orm: Orm;
  before(async () => {
    database = await freshDatabase();
    orm = await connect(database.url, 2);
    // Three letters have each time, so that pages end between letters of one time.
    await sql`
      insert into dead_letters
      select gen_random_uuid(), 'source', 'batch', 'waiting', 'transient', 'why', null, '{}', 1, 0,
        to_timestamp(n / 3), to_timestamp(n / 3)
      from generate_series(3, 3002) n`.execute(sqlOf(orm));
    await sql`analyze dead_letters`.execute(sqlOf(orm));
  });
  after(async () => {
    await orm.close(true);
    await database.drop();
  });

  it('starts after the last letter of the page before', async () => {
    const all = (await listDeadLetters(orm, {}, { limit: 100 })).map(({ id }) => id);
    const paged: string[] = [];
    let after: { at: number; id: string } | undefined;
    while (paged.length < all.length) {
      const page = await listDeadLetters(orm, {}, { after, limit: 10 });
      paged.push(...page.map(({ id }) => id));
      const { createdAt, id } = page.at(-1)!;
      after = { at: createdAt.getTime(), id };
    }
    assert.deepEqual(paged, all);
  });

  it('reads the index from where it starts', async () => {
    const query = managerOf(orm)
      .createQueryBuilder(DeadLetterEntity)
      .where(following('createdAt', { at: 500_000, id: crypto.randomUUID() }))
      .orderBy({ createdAt: 'desc', id: 'desc' })
      .limit(10)
      .getFormattedQuery();
    const { rows } = await sql<Record<string, string>>`explain (costs off) ${sql.raw(query)}`.execute(
      sqlOf(orm),
    );
    const plan = rows.flatMap((row) => Object.values(row)).join('\n');
    assert.match(plan, /Index Scan Backward using dead_letters_created_at_index/);
    assert.match(plan, /Index Cond: \(created_at <= /);
  });
});
