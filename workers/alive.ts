import pg from 'pg';
import { loadConfig } from '../config.ts';
import { QUIET_AFTER_MS } from '../domain/watermark.ts';

/**
 * Health check for containers: `node workers/alive.ts <role>` exits with 0 while a worker of the role beats. It asks
 * PostgreSQL, since the worker writes its heartbeat there.
 */
const client = new pg.Client({ connectionString: loadConfig().DATABASE_URL, connectionTimeoutMillis: 3000 });
try {
  await client.connect();
  const { rowCount } = await client.query(
    "select 1 from processes where role = $1 and beat_at > now() - $2::float8 * interval '1 millisecond'",
    [process.argv[2], QUIET_AFTER_MS],
  );
  process.exitCode = rowCount === 0 ? 1 : 0;
} catch {
  process.exitCode = 1;
} finally {
  await client.end();
}
