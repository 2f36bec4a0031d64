import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { partitionDays } from '../../partitions.ts';
import { type Deafness, deafnessWithin } from './deaf-spans.ts';
import { lastRounds, type Round } from './housekeeping-rounds.ts';
import { type ProcessState, processStates, type SystemState, systemState } from './status.ts';
import { databaseSize } from './storage.ts';

const DEAF_WITHIN_SECONDS = 3600;

/** What the metrics need from the database. */
export interface SystemReading {
  state: SystemState;
  processes: ProcessState[];
  /** Dead letters by state. */
  dead_letters: { state: string; n: number }[];
  /** Events that were counted in the overflow groups of full rules. */
  overflow: number;
  /** The days of each partitioned table, oldest first, epoch milliseconds. */
  days: Record<'events' | 'window_counts', number[]>;
  database_bytes: number;
  rounds: Round[];
  /** How much of the last hour was deaf, for each reason. */
  deaf: Deafness[];
}

export async function readSystem(db: Sql): Promise<SystemReading> {
  const [state, processes, letters, overflow, events, counts, database_bytes, rounds, deaf] =
    await Promise.all([
      systemState(db),
      processStates(db),
      db
        .selectFrom('dead_letters')
        .select(['state', sql<number>`count(*)::int`.as('n')])
        .groupBy('state')
        .execute(),
      sql<{ n: number }>`select coalesce(sum(events), 0)::float8 as n from rule_overflow`.execute(db),
      partitionDays(db, 'events'),
      partitionDays(db, 'window_counts'),
      databaseSize(db),
      lastRounds(db),
      deafnessWithin(db, DEAF_WITHIN_SECONDS),
    ]);
  return {
    state,
    processes,
    dead_letters: letters,
    overflow: overflow.rows[0]!.n,
    days: { events: events.map(({ day }) => day), window_counts: counts.map(({ day }) => day) },
    database_bytes,
    rounds,
    deaf,
  };
}
