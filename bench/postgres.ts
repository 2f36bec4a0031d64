import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { connect } from '../db/orm.ts';
import { ensurePartitions } from '../db/partitions.ts';
import { startPostgres } from '../embedded/postgres/postgres.ts';

/** Runs `work` with its own PostgreSQL, durable as in production, and removes the data afterwards. */
export async function withPostgres(work: (url: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'tocsin-bench-'));
  // PostgreSQL may run as another user.
  chmodSync(dir, 0o755);
  try {
    const postgres = await startPostgres({ dataDir: dir, log: () => {} });
    try {
      await work(postgres.url);
    } finally {
      await postgres.stop();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Connects to PostgreSQL. The error that comes when the server stops first is ignored. */
export async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Updates the schema and creates the partitions around today. */
export async function migrate(url: string): Promise<void> {
  const orm = await connect(url, 2);
  try {
    orm.config.getLogger().setDebugMode(false);
    await orm.migrator.up();
    await ensurePartitions(orm, Date.now());
  } finally {
    await orm.close(true);
  }
}
