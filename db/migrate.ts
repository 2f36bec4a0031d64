import pg from 'pg';
import { ConfigError, loadConfig } from '../config.ts';
import { grantTo } from './grants.ts';
import { LOCKS } from './locks.ts';
import { connect } from './orm.ts';
import { ensurePartitions } from './partitions.ts';

/** Brings the schema up to date and makes the partitions around today. Safe to run at any time, by several at once. */
try {
  const config = loadConfig();
  // Held while this connection lives: migrators that start together go one after the other.
  const lock = new pg.Client(config.DATABASE_URL);
  await lock.connect();
  await lock.query('select pg_advisory_lock($1)', [LOCKS.migration]);
  const orm = await connect(config.DATABASE_URL, 2);
  try {
    const applied = await orm.migrator.up();
    await ensurePartitions(orm, Date.now());
    if (config.DATABASE_GRANT_TO) await grantTo(orm, config.DATABASE_GRANT_TO);
    console.log(
      applied.length > 0 ? `migrated: ${applied.map(({ name }) => name).join(', ')}` : 'schema is up to date',
    );
  } finally {
    await orm.close(true);
    await lock.end();
  }
} catch (error) {
  const reason =
    error instanceof ConfigError ? error.message : `migration failed: ${(error as Error).message}`;
  console.error(reason);
  process.exitCode = 1;
}
