import { sql } from 'kysely';
import { lockRuleSet, newRuleSetVersion } from '../locks.ts';
import { type Orm, type Sql, sqlOf, transaction } from '../orm.ts';
import { BACKFILL_SLOT, removeRule } from './revisions.ts';
import { recountRules } from './rule-changes.ts';

/** What was removed, in rows. */
export interface Removed {
  rules: number;
  producers: number;
  events: number;
  incidents: number;
  dead_letters: number;
}

/** Events removed in one transaction at the most. */
const CHUNK = 20_000;

/**
 * Removes sample producers and rules with all that they stored. The producers' workflows must have been stopped before.
 * Rules that remain count anew, since events they had counted are gone.
 * @param now epoch ms
 * @returns what was removed, the sample rules' ids among it, and the rules that count anew: all want a signal
 */
export async function removeSamples(orm: Orm, now: number): Promise<{ removed: Removed; signal: string[] }> {
  const db = sqlOf(orm);
  const producers = await sql<{ id: string }>`select id from producers where sample`.execute(db);
  const rules = await sql<{ id: string }>`select id from alert_rules where sample`.execute(db);
  const sources = producers.rows.map(({ id }) => id);
  const ruleIds = rules.rows.map(({ id }) => id);
  const removed: Removed = {
    rules: ruleIds.length,
    producers: sources.length,
    events: 0,
    incidents: 0,
    dead_letters: 0,
  };

  for (const id of ruleIds) {
    removed.incidents += await transaction(orm, async (tx) => {
      // A judge in hand ends before the lock is taken, or every append would wait for it too.
      await sql`select 1 from rule_versions where rule_id = ${id} order by revision for update`.execute(tx);
      await lockRuleSet(tx);
      await removeRule(tx, id);
      // The set of rules is another one now: appends must not count for this one any more.
      await newRuleSetVersion(tx);
      return removeIncidents(tx, id);
    });
  }
  let chunk: number;
  do {
    chunk = await transaction(orm, (tx) => removeEvents(tx, sources));
    removed.events += chunk;
  } while (chunk === CHUNK);
  removed.dead_letters = affected(
    await sql`delete from dead_letters where source_id = any(${sources}::text[])`.execute(db),
  );
  await sql`delete from producers where id = any(${sources}::text[])`.execute(db);
  const recounted = removed.events > 0 ? await recountRules(orm, now) : [];
  return { removed, signal: [...ruleIds, ...recounted] };
}

/** Removes a chunk of the sources' events, and takes them out of the rollups. */
async function removeEvents(db: Sql, sources: readonly string[]): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    with gone as (
      delete from events where (event_id, occurred_at) in (
        select event_id, occurred_at from events where source_id = any(${sources}::text[]) limit ${CHUNK})
      returning event_id, severity, event_type, (floor(extract(epoch from occurred_at) / 60) * 60000)::bigint as minute
    ), ids as (
      delete from event_ids where event_id in (select event_id from gone)
    ), rolled as (
      insert into event_rollups as r (minute, severity, event_type, slot, n)
      select minute, severity, event_type, ${BACKFILL_SLOT}::smallint, -count(*) from gone group by 1, 2, 3
      on conflict (minute, severity, event_type, slot) do update set n = r.n + excluded.n
    )
    select count(*)::int as n from gone`.execute(db);
  return rows[0]!.n;
}

async function removeIncidents(db: Sql, ruleId: string): Promise<number> {
  const mine = sql`(select id from alert_incidents where rule_id = ${ruleId})`;
  for (const table of ['incident_timeline', 'deliveries', 'notices']) {
    await sql`delete from ${sql.table(table)} where incident_id in ${mine}`.execute(db);
  }
  return affected(await sql`delete from alert_incidents where rule_id = ${ruleId}`.execute(db));
}

const affected = (result: { numAffectedRows?: bigint | undefined }) => Number(result.numAffectedRows ?? 0);
