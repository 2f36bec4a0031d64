import { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import { dayOf } from '../../../db/partitions.ts';
import { type DaySize, databaseSize, daySizes, tableSizes } from '../../../db/queries/system/storage.ts';
import { DAY_MS } from '../../../domain/events/event.ts';
import type { ApiDeps } from '../../deps.ts';
import { type Route, route } from '../../http/route.ts';
import { showDisk } from './status.ts';
import { diskOut } from './status-schema.ts';

const estimate = z.number().nullable().meta({
  description: 'As counted by the last vacuum or analyze; null before the first',
});

const storageOut = z
  .object({
    disk: diskOut,
    database_bytes: z.number(),
    retention_days: z.int(),
    oldest_day: z.iso.date().nullable(),
    newest_day: z.iso.date().nullable().meta({ description: 'Partitions of coming days are created ahead' }),
    bytes_per_day: z.number().nullable().meta({
      description: 'Average over the past days that have events, without today; null if there are none',
    }),
    projected_bytes: z.number().nullable().meta({
      description: 'Expected size of the database when it holds all days of the retention, at this average',
    }),
    tables: z.array(z.object({ name: z.string(), bytes: z.number(), rows_estimate: estimate })),
    days: z.array(
      z.object({
        day: z.iso.date(),
        events_bytes: z.number(),
        events_estimate: estimate,
        counts_bytes: z.number(),
      }),
    ),
  })
  .meta({ id: 'Storage' });

/** The route that shows what is stored, how much space it takes, and how much is left. */
export function storageRoutes({ orm, clock, disk, settings }: ApiDeps): Route[] {
  return [
    route({
      method: 'get',
      path: '/storage',
      role: 'read',
      tags: ['health'],
      summary: 'Disk space of each table and day',
      responses: { 200: { description: 'Sizes in bytes, including indexes', schema: storageOut } },
      async handle() {
        const db = sqlOf(orm);
        const [database_bytes, tables, days] = await Promise.all([
          databaseSize(db),
          tableSizes(db),
          daySizes(db),
        ]);
        const retention_days = settings.retentionMs / DAY_MS;
        return {
          status: 200,
          body: {
            disk: showDisk(disk.report()),
            database_bytes,
            retention_days,
            oldest_day: dateOf(days.at(-1)),
            newest_day: dateOf(days[0]),
            ...projection(days, { today: dayOf(clock()), retention_days, database_bytes }),
            tables,
            days: days.map(({ day, empty, ...sizes }) => ({ day: dateOf({ day })!, ...sizes })),
          },
        };
      },
    }),
  ];
}

/** Estimates the size of the database at full retention. Today is left out, because it is incomplete. */
function projection(
  days: readonly DaySize[],
  {
    today,
    retention_days,
    database_bytes,
  }: { today: number; retention_days: number; database_bytes: number },
): { bytes_per_day: number | null; projected_bytes: number | null } {
  const full = days.filter(({ day, empty }) => day < today && !empty);
  if (full.length === 0) return { bytes_per_day: null, projected_bytes: null };
  const taken = full.reduce((sum, { events_bytes, counts_bytes }) => sum + events_bytes + counts_bytes, 0);
  const bytes_per_day = Math.round(taken / full.length);
  const still_to_come = Math.max(0, retention_days - full.length);
  return { bytes_per_day, projected_bytes: database_bytes + bytes_per_day * still_to_come };
}

const dateOf = (day?: { day: number }) => (day ? new Date(day.day).toISOString().slice(0, 10) : null);
