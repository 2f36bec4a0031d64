import { sql } from 'kysely';
import { DAY_MS } from '../domain/events/event.ts';
import { LOCKS } from './locks.ts';
import { type Orm, type Sql, sqlOf, transaction } from './orm.ts';

/** How many days ahead partitions are created. */
const AHEAD_DAYS = 3;
/** How many past days get their partitions in advance. Older days get theirs with their first event. */
const BEHIND_DAYS = 1;

/** The start of the UTC day that contains an instant; both are epoch milliseconds. */
export const dayOf = (at: number) => Math.floor(at / DAY_MS) * DAY_MS;

const dayName = (day: number) => new Date(day).toISOString().slice(0, 10).replaceAll('-', '');

/** The partitioned tables, and the form of a day's bounds for each. */
const PARENTS = {
  events: { bound: (day: number) => `'${new Date(day).toISOString()}'`, options: '' },
  // Pages are filled only half, so that an updated count stays on its page (heap-only updates).
  window_counts: { bound: (day: number) => `${day}`, options: 'with (fillfactor = 50)' },
  window_times: { bound: (day: number) => `${day}`, options: '' },
} as const;

export type Partitioned = keyof typeof PARENTS;

export const PARTITIONED: readonly string[] = Object.keys(PARENTS);

/** Creates the missing partitions around `now` (epoch ms), and returns how many there were. */
export async function ensurePartitions(orm: Orm, now: number): Promise<number> {
  let made = 0;
  for (let day = dayOf(now) - BEHIND_DAYS * DAY_MS; day <= now + AHEAD_DAYS * DAY_MS; day += DAY_MS) {
    made += await ensureDay(orm, day);
  }
  return made;
}

/**
 * Creates the partitions of one day if they are missing. A table is created by itself and then attached,
 * which does not block readers and writers of the parent. Concurrent callers wait for each other.
 */
export async function ensureDay(orm: Orm, day: number): Promise<number> {
  let made = 0;
  const attached = await attachedNames(sqlOf(orm));
  for (const [parent, { bound, options }] of Object.entries(PARENTS)) {
    const name = `${parent}_${dayName(day)}`;
    if (attached.has(name)) continue;
    await transaction(orm, async (db) => {
      await sql`select pg_advisory_xact_lock(${LOCKS.partitions})`.execute(db);
      if ((await attachedNames(db)).has(name)) return;
      await sql`set local lock_timeout = '5s'`.execute(db);
      await removeLeft(db, parent, name);
      await sql
        .raw(`create table ${name} (like ${parent} including defaults including constraints) ${options}`)
        .execute(db);
      const range = `from (${bound(day)}) to (${bound(day + DAY_MS)})`;
      await sql.raw(`alter table ${parent} attach partition ${name} for values ${range}`).execute(db);
      made++;
    });
  }
  return made;
}

/**
 * Names of the attached partitions, without those that are being detached, because nothing can be stored
 * there.
 */
async function attachedNames(db: Sql): Promise<Set<string>> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name from pg_inherits i
    join pg_class c on c.oid = i.inhrelid join pg_class parent on parent.oid = i.inhparent
    where parent.relname = any(${PARTITIONED}::text[]) and not i.inhdetachpending`.execute(db);
  return new Set(rows.map(({ name }) => name));
}

/**
 * Drops a partition that an interrupted retention left half detached. A new partition would have the same
 * name.
 */
async function removeLeft(db: Sql, parent: string, name: string): Promise<void> {
  const { rows } = await sql<{ detaching: boolean }>`
    select i.inhrelid is not null as detaching from pg_class c left join pg_inherits i on i.inhrelid = c.oid
    where c.oid = to_regclass(${name})`.execute(db);
  const [left] = rows;
  if (!left) return;
  if (left.detaching) await sql.raw(`alter table ${parent} detach partition ${name} finalize`).execute(db);
  await sql.raw(`drop table ${name}`).execute(db);
}

/** The day partitions of one table, including half detached ones. `day` is the start of the day, epoch ms. */
export async function partitionDays(
  db: Sql,
  parent: Partitioned,
): Promise<{ name: string; day: number; state: 'attached' | 'detaching' | 'detached' }[]> {
  const { rows } = await sql<{ name: string; state: 'attached' | 'detaching' | 'detached' }>`
    select c.relname as name, case when not c.relispartition then 'detached'
      when i.inhdetachpending then 'detaching' else 'attached' end as state
    from pg_class c left join pg_inherits i on i.inhrelid = c.oid
    where c.relkind = 'r' and c.relname ~ ${`^${parent}_[0-9]{8}$`} order by c.relname`.execute(db);
  return rows.map(({ name, state }) => {
    const [, year, month, day] = /(\d{4})(\d\d)(\d\d)$/.exec(name)!;
    return { name, day: Date.UTC(Number(year), Number(month) - 1, Number(day)), state };
  });
}
