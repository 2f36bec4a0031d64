import { MockActivityEnvironment } from '@temporalio/testing';
import { sql } from 'kysely';
import { createHousekeepingActivities } from '../../activities/housekeeping/index.ts';
import { sqlOf } from '../../db/orm.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { anEvent, type Engine } from '../support/engine.ts';
import { sdkLogger } from '../support/sdk-log.ts';
import { silent } from '../support/stage/log.ts';

export const NOON = Date.UTC(2026, 4, 4, 12);

/** One round of housekeeping, which keeps events for 7 days and incidents for 20. */
export async function tidy(
  engine: Engine,
  environment = new MockActivityEnvironment({}, { logger: sdkLogger }),
): Promise<{ made: number; dropped: number }> {
  const { keepPartitions } = createHousekeepingActivities({
    ...{ orm: engine.orm, client: undefined as never, clock: () => engine.now, log: silent },
    ...{ retentionDays: 7, incidentRetentionDays: 20 },
  });
  return environment.run(keepPartitions);
}

/** How many rows a table has. */
export async function count({ orm }: Engine, table: string): Promise<number> {
  return (await sql`select from ${sql.table(table)}`.execute(sqlOf(orm))).rows.length;
}

/** Events of so many days ago. */
export const eventsOf = (...ago: number[]) => ago.map((day) => anEvent({ occurred_at: NOON - day * DAY_MS }));
