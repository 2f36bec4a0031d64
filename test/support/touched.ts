import { MikroORM } from '@mikro-orm/postgresql';
import type { Pool, PoolClient } from 'pg';
import { releaseBroken } from '../../db/connections/pool.ts';
import { type Orm, ormOptions } from '../../db/orm.ts';

type Query = (...args: unknown[]) => Promise<{ rows: Record<string, unknown>[] }>;

interface Plan {
  'Actual Rows': number;
  'Actual Loops': number;
  Plans?: Plan[];
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
}

/**
 * A statement, with the number of 8 kB blocks that PostgreSQL read for it, and the number of rows from tables
 * and indexes.
 */
export interface Touched {
  text: string;
  blocks: number;
  rows: number;
}

/** The rows from the leaves of a plan. */
function rowsOf({ Plans: plans = [], ...plan }: Plan): number {
  if (plans.length === 0) return plan['Actual Rows'] * plan['Actual Loops'];
  return plans.reduce((sum, below) => sum + rowsOf(below), 0);
}

/**
 * Opens a connection that runs EXPLAIN for every statement which names `table`, and records the cost. This
 * cost depends on the data and not on the machine.
 */
export async function explaining(
  url: string,
  table: string,
): Promise<{ orm: Orm; touched: Touched[]; stop(): Promise<void> }> {
  const touched: Touched[] = [];
  const options = ormOptions(url, 2);
  const onPoolCreated = (pool: Pool) => {
    releaseBroken(pool);
    pool.on('connect', (client: PoolClient) => {
      const query = client.query.bind(client) as unknown as Query;
      let inTransaction = false;
      client.query = (async (...args: unknown[]) => {
        const [text, values] = args;
        if (text === 'begin') inTransaction = true;
        if (text === 'commit' || text === 'rollback') inTransaction = false;
        if (typeof text === 'string' && text.includes(table)) {
          await query(inTransaction ? 'savepoint explained' : 'begin');
          const { rows } = await query(`explain (analyze, buffers, format json) ${text}`, values);
          await query(inTransaction ? 'rollback to explained' : 'rollback');
          const [{ Plan: plan }] = rows[0]!['QUERY PLAN'] as [{ Plan: Plan }];
          const blocks = plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
          touched.push({ text, blocks, rows: rowsOf(plan) });
        }
        return query(...args);
      }) as unknown as PoolClient['query'];
    });
  };
  const orm = await MikroORM.init({
    ...options,
    driverOptions: { ...options.driverOptions, onPoolCreated },
  });
  return { orm, touched, stop: () => orm.close(true) };
}
