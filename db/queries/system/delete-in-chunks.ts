import { type RawBuilder, sql } from 'kysely';
import type { Sql } from '../../orm.ts';

/** How many rows one statement deletes, so that it takes some hundred milliseconds. */
const CHUNK = 5000;

/**
 * Deletes rows of a table in chunks, so that no statement takes long.
 *
 * The condition is checked twice, because `ctid` is not unique across partitions.
 * @param condition may name the table's row as `t`
 * @param progress called after each chunk; if it throws, the call ends, and the next call continues
 */
export async function deleteInChunks(
  db: Sql,
  table: string,
  condition: RawBuilder<unknown>,
  progress: () => void = () => {},
  chunk = CHUNK,
): Promise<number> {
  let gone = 0;
  for (;;) {
    const { numAffectedRows } = await sql`
      delete from ${sql.table(table)} t where ctid = any(array(
        select t.ctid from ${sql.table(table)} t where ${condition} limit ${chunk} for update)) and ${condition}`.execute(
      db,
    );
    const deleted = Number(numAffectedRows ?? 0);
    gone += deleted;
    progress();
    if (deleted < chunk) return gone;
  }
}
