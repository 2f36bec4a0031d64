import { type RawBuilder, sql } from 'kysely';

/** Reads a time column as epoch milliseconds. */
export const ms = (column: string): RawBuilder<number> =>
  sql`(extract(epoch from ${sql.ref(column)}) * 1000)::float8`;

/** Converts epoch milliseconds to PostgreSQL's time, for writing and comparing. */
export const instant = (at: number | null): RawBuilder<Date> => sql`to_timestamp(${at}::float8 / 1000)`;
