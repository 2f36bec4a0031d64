import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { instant } from '../../time.ts';

/** How many rows one statement deletes, so that none takes long. */
const CHUNK = 1000;

/** Called after each chunk. If it throws, the call ends, and the next call continues. */
type Progress = () => void;

/**
 * Removes dead letters that have not changed since `before` (epoch ms), whatever their state. Their events
 * are so old that they would be refused.
 * @returns how many were removed, and how many of them were still waiting
 */
export async function forgetDeadLetters(
  db: Sql,
  before: number,
  progress: Progress = () => {},
): Promise<{ all: number; waiting: number }> {
  const gone = { all: 0, waiting: 0 };
  for (;;) {
    // A letter is created before it changes, so the index on its creation narrows the search.
    const { rows } = await sql<{ state: string }>`
      delete from dead_letters where id in (
        select id from dead_letters d where d.created_at < ${instant(before)} and d.updated_at < ${instant(before)}
        order by d.created_at limit ${CHUNK} for update skip locked)
      returning state`.execute(db);
    gone.all += rows.length;
    gone.waiting += rows.filter(({ state }) => state === 'waiting').length;
    progress();
    if (rows.length < CHUNK) return gone;
  }
}

/**
 * Removes incidents that were resolved before `before` (epoch ms), with their timelines, notices and
 * deliveries. While a rule exists, the last incident of each group stays: episodes are numbered from it, and
 * an incident's id must never be used again.
 */
export async function forgetIncidents(
  db: Sql,
  before: number,
  progress: Progress = () => {},
): Promise<number> {
  let gone = 0;
  for (;;) {
    const { rows } = await sql<{ n: number }>`
      with gone as (
        delete from alert_incidents where id in (
          select i.id from alert_incidents i
          where i.opened_at < ${instant(before)} and i.resolved_at < ${instant(before)} and i.state = 'resolved'
            and not exists (select from notices n where n.incident_id = i.id and not n.done)
            and (exists (
                select from alert_incidents later where later.rule_id = i.rule_id
                  and later.group_key = i.group_key and later.episode > i.episode)
              or not exists (select from alert_rules r where r.id = i.rule_id))
          order by i.opened_at limit ${CHUNK} for update skip locked)
        returning id
      ), timeline as (
        delete from incident_timeline where incident_id in (select id from gone)
      ), told as (
        delete from notices where incident_id in (select id from gone)
      ), delivered as (
        delete from deliveries where incident_id in (select id from gone)
      )
      select count(*)::int as n from gone`.execute(db);
    const { n } = rows[0]!;
    gone += n;
    progress();
    if (n < CHUNK) return gone;
  }
}
