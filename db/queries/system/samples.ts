import { LockMode } from '@mikro-orm/core';
import { sql } from 'kysely';
import { ProducerEntity } from '../../entities/producer.ts';
import { lockRuleSet, newRuleSetVersion } from '../../locks.ts';
import { type Orm, type Sql, sqlOf, transaction } from '../../orm.ts';
import { removeSampleProducers, samplesEmptied } from '../events/removed-samples.ts';
import { BACKFILL_SLOT } from '../rules/backfill.ts';
import { recountRules } from '../rules/changes.ts';
import { removeRule } from '../rules/revisions.ts';
import { forgetSpansOf } from './deaf-spans.ts';

/** How many rows were removed. */
export interface Removed {
  rules: number;
  producers: number;
  events: number;
  incidents: number;
  dead_letters: number;
}

/**
 * How many events or dead letters one statement removes at most. It must end within the API's statement
 * timeout.
 */
const CHUNK = 5000;

/**
 * How many incidents one transaction removes at most. Each takes its timeline, notices and deliveries with
 * it.
 */
const INCIDENTS_CHUNK = 500;

/**
 * Pauses the sample producers, so that one which is started meanwhile emits nothing. Returns their ids.
 * `now`: epoch ms.
 */
export async function pauseSamples(orm: Orm, now: number): Promise<string[]> {
  return transaction(orm, async (_db, em) => {
    const producers = await em.find(
      ProducerEntity,
      { sample: true },
      { lockMode: LockMode.PESSIMISTIC_WRITE },
    );
    for (const producer of producers) {
      producer.paused = true;
      producer.updatedAt = new Date(now);
    }
    return producers.map(({ id }) => id);
  });
}

/**
 * Removes sample producers and sample rules with everything they stored. Events that the producers still emit
 * are not stored. If a crash interrupts it, the next call continues. The remaining rules start a new
 * revision, because events that they counted are gone.
 * @param now epoch ms
 * @returns what was removed, and which workflows the caller must signal: `signal` has the sample rules and
 * the rules with a new revision, `incidents` the removed incidents that were not resolved
 */
export async function removeSamples(
  orm: Orm,
  now: number,
): Promise<{ removed: Removed; signal: string[]; incidents: string[] }> {
  const db = sqlOf(orm);
  const { producers, sources } = await removeSampleProducers(orm);
  const rules = await db.selectFrom('alert_rules').select('id').where('sample', '=', true).execute();
  const ruleIds = rules.map(({ id }) => id);
  let removedIncidents = 0;
  const unresolved: string[] = [];
  for (const id of ruleIds) {
    // Resolved incidents are removed first, in chunks.
    removedIncidents += await inChunks(INCIDENTS_CHUNK, () =>
      transaction(orm, async (tx) => (await removeIncidents(tx, id, 'resolved')).length),
    );
    await transaction(orm, async (tx) => {
      // A running judge must end before the rule set is locked. Otherwise every append would wait for that
      // judge too.
      await sql`select 1 from rule_versions where rule_id = ${id} order by revision for update`.execute(tx);
      await lockRuleSet(tx);
      // The rule set has changed: appends must no longer count for this rule.
      await sql`update rule_versions set enabled = false where rule_id = ${id} and superseded_at is null`.execute(
        tx,
      );
      await newRuleSetVersion(tx, id);
    });
    const last = await transaction(orm, async (tx) => {
      await removeRule(tx, id);
      return removeIncidents(tx, id);
    });
    removedIncidents += last.length;
    unresolved.push(...last.filter(({ state }) => state !== 'resolved').map((incident) => incident.id));
  }
  const { events, recounted } = await removeEventsOf(orm, sources, now);
  const deadLetters = await inChunks(CHUNK, async () =>
    affected(
      await sql`
        delete from dead_letters where id = any(array(
          select id from dead_letters where source_id = any(${sources}::text[]) limit ${CHUNK}))`.execute(db),
    ),
  );
  await forgetSpansOf(db, sources);
  await samplesEmptied(db, sources);
  const removed = {
    rules: ruleIds.length,
    producers,
    events,
    incidents: removedIncidents,
    dead_letters: deadLetters,
  };
  return { removed, signal: [...ruleIds, ...recounted], incidents: unresolved };
}

/**
 * Removes all events of the sources. Rules that may have counted them start a new revision; the returned ids
 * must be signalled. `now`: epoch ms.
 */
async function removeEventsOf(
  orm: Orm,
  sources: readonly string[],
  now: number,
): Promise<{ events: number; recounted: string[] }> {
  let events = 0;
  for (const source of sources) {
    let from: number | null = null;
    do {
      const chunk: { n: number; through: number | null } = await transaction(orm, (tx) =>
        removeEvents(tx, source, from),
      );
      events += chunk.n;
      from = chunk.through;
    } while (from !== null);
  }
  return { events, recounted: events > 0 ? await recountRules(orm, now) : [] };
}

/**
 * Removes a chunk of a source's events, oldest first, and subtracts them from the rollups. Starting where the
 * last chunk ended avoids dead index entries. Arrays keep PostgreSQL from reading a whole partition for a
 * join.
 * @param from where the last chunk ended, epoch ms
 * @returns how many were removed, and where the chunk ended; null if nothing is left
 */
async function removeEvents(
  db: Sql,
  source: string,
  from: number | null,
): Promise<{ n: number; through: number | null }> {
  const { rows: chunk } = await sql<{ event_id: string; at: number }>`
    select event_id, (extract(epoch from occurred_at) * 1000)::float8 as at from events
    where source_id = ${source}
      ${from === null ? sql`` : sql`and occurred_at >= to_timestamp(${from}::float8 / 1000)`}
    order by occurred_at limit ${CHUNK}`.execute(db);
  if (chunk.length === 0) return { n: 0, through: null };
  const [first, last] = [chunk[0]!.at, chunk.at(-1)!.at];
  const ids = chunk.map(({ event_id }) => event_id);
  const { rows } = await sql<{ n: number }>`
    with gone as (
      delete from events where source_id = ${source} and event_id = any(${ids}::uuid[])
        and occurred_at between to_timestamp(${first}::float8 / 1000) and to_timestamp(${last}::float8 / 1000)
      returning event_id, severity, event_type, (floor(extract(epoch from occurred_at) / 60) * 60000)::bigint as minute
    ), ids as (
      delete from event_ids where event_id = any(${ids}::uuid[])
    ), rolled as (
      insert into event_rollups as r (minute, severity, event_type, slot, n)
      select minute, severity, event_type, ${BACKFILL_SLOT}::smallint, -count(*) from gone group by 1, 2, 3
      on conflict (minute, severity, event_type, slot) do update set n = r.n + excluded.n
    )
    select count(*)::int as n from gone`.execute(db);
  return { n: rows[0]!.n, through: chunk.length < CHUNK ? null : last };
}

/**
 * Removes the incidents of a rule with all that belongs to them: all incidents, or a chunk of those in one
 * state.
 */
async function removeIncidents(
  db: Sql,
  ruleId: string,
  state?: string,
): Promise<{ id: string; state: string }[]> {
  const { rows } = await sql<{ id: string; state: string }>`
    select id, state from alert_incidents where rule_id = ${ruleId}
    ${state === undefined ? sql`` : sql`and state = ${state} limit ${INCIDENTS_CHUNK}`} for update`.execute(
    db,
  );
  const ids = rows.map(({ id }) => id);
  for (const table of ['incident_timeline', 'deliveries', 'notices']) {
    await sql`delete from ${sql.table(table)} where incident_id = any(${ids}::uuid[])`.execute(db);
  }
  await sql`delete from alert_incidents where id = any(${ids}::uuid[])`.execute(db);
  return rows;
}

/** Repeats until a chunk is not full. Returns the sum. */
async function inChunks(size: number, remove: () => Promise<number>): Promise<number> {
  let sum = 0;
  let chunk: number;
  do {
    chunk = await remove();
    sum += chunk;
  } while (chunk === size);
  return sum;
}

const affected = (result: { numAffectedRows?: bigint | undefined }) => Number(result.numAffectedRows ?? 0);
