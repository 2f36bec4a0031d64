import { sql } from 'kysely';
import type { Sql } from './orm.ts';

/** All advisory locks, by their first key. They are listed only here, so that no two uses share a key. */
export const LOCKS = {
  /**
   * Appends take it shared. Whoever changes the set of rules takes it exclusively, so that an append
   * sees a change completely or not at all.
   */
  ruleSet: 1,
  /** With the number of a slot: only one append at a time writes the counts of that slot. */
  slot: 2,
  /** Only one process at a time creates partitions. */
  partitions: 3,
  /** Only one process at a time migrates. */
  migration: 4,
  /**
   * With the hash of a rule: only one append at a time admits groups to that rule, so that its limit is
   * exact.
   */
  groups: 5,
  /** Only one process at a time folds rollups. */
  fold: 6,
  /**
   * Whoever changes a rule takes it shared. Whoever drops counts takes it exclusively, and so knows how far
   * back every rule looks.
   */
  retention: 7,
  /**
   * Whoever stores events of producers takes it shared. Whoever removes sample producers takes it
   * exclusively.
   */
  samples: 8,
} as const;

/**
 * Blocks new appends until this transaction ends, after waiting for those in progress. The caller must first
 * wait for a running judge: otherwise every append would wait for that judge too.
 * @throws after 3 seconds, because a single append that hangs must not block all others
 */
export async function lockRuleSet(db: Sql): Promise<void> {
  await sql`set local lock_timeout = '3s'`.execute(db);
  await sql`select pg_advisory_xact_lock(${LOCKS.ruleSet})`.execute(db);
}

/** Makes every appending process read this rule again, and ask again which of its groups are admitted. */
export async function newRuleSetVersion(db: Sql, ruleId: string): Promise<void> {
  await sql`
    with raised as (update rule_set set version = version + 1 returning version)
    insert into rule_changes (version, rule_id) select version, ${ruleId}::uuid from raised`.execute(db);
}
