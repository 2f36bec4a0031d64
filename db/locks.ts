import { sql } from 'kysely';
import type { Sql } from './orm.ts';

/** Advisory locks, by their first key: here alone, so that no two uses take the same one. */
export const LOCKS = {
  /**
   * Appends share it; whoever changes the set of rules has it alone, so that no append counts for half a
   * change.
   */
  ruleSet: 1,
  /** With a slot's number: the counts of that slot are one append's alone. */
  slot: 2,
  /** Partitions are made by one at a time. */
  partitions: 3,
  /** Migrators go one after the other. */
  migration: 4,
  /** With a rule's hash: groups are admitted to it by one append at a time, so that its cap is exact. */
  groups: 5,
  /** Rollups are folded by one at a time. */
  fold: 6,
  /**
   * Who changes a rule shares it; who drops counts has it alone, and so knows how far back every rule looks.
   */
  retention: 7,
  /** What stores for producers shares it; who removes the sample producers has it alone. */
  samples: 8,
} as const;

/**
 * Keeps appends out until this transaction ends, once those under way are done. A judge in hand must have
 * ended before, or every append would wait for it too. @throws after 3 seconds: an append that hangs must not
 * take all others with it
 */
export async function lockRuleSet(db: Sql): Promise<void> {
  await sql`set local lock_timeout = '3s'`.execute(db);
  await sql`select pg_advisory_xact_lock(${LOCKS.ruleSet})`.execute(db);
}

/** Every appending process reads this rule again, and asks again which groups of it are admitted. */
export async function newRuleSetVersion(db: Sql, ruleId: string): Promise<void> {
  await sql`
    with raised as (update rule_set set version = version + 1 returning version)
    insert into rule_changes (version, rule_id) select version, ${ruleId}::uuid from raised`.execute(db);
}
