import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identityOf } from '../processes/identity.ts';
import { type Log, launch } from '../processes/process.ts';
import { fileError, StartupError } from '../startup-error.ts';
import { damaged, postgresStartupError } from './errors.ts';

/** The superuser of every cluster that is created here. */
export const user = 'tocsin';

/**
 * Creates a cluster. initdb works in a temporary directory, which is renamed once it is complete. So after an
 * interruption the next start simply begins again.
 */
export async function createCluster(
  dataDir: string,
  initdb: string,
  owner: { uid: number; gid: number } | undefined,
  durable: boolean,
  log: Log,
): Promise<void> {
  log('PostgreSQL: creating its data directory');
  const unfinished = join(dataDir, 'cluster.new');
  const passwordFile = join(dataDir, 'password');
  const logFile = join(dataDir, 'initdb.log');
  try {
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { mode: 0o700 });
    writeFileSync(passwordFile, `${randomBytes(24).toString('hex')}\n`, { mode: 0o600 });
    if (owner) for (const path of [unfinished, passwordFile]) chownSync(path, owner.uid, owner.gid);
  } catch (error) {
    throw fileError(dataDir, error);
  }
  const run = await launch({
    command: initdb,
    args: [
      ...['-D', unfinished, '--username', user, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
      ...[
        '--encoding',
        'UTF8',
        '--locale',
        'C',
        '--locale-provider',
        'builtin',
        '--builtin-locale',
        'C.UTF-8',
      ],
      ...(durable ? [] : ['--no-sync']),
    ],
    logFile,
    user: owner,
    env: environment(),
  });
  if ((await run.exited).code !== 0) throw postgresStartupError(run.output(), dataDir, 0, logFile);
  renameSync(unfinished, join(dataDir, 'cluster'));
}

/**
 * Removes a stale postmaster.pid. After kill -9 its process number may belong to another program, and
 * PostgreSQL would then refuse to start.
 */
export function clearStalePid(cluster: string): void {
  const file = join(cluster, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  const identity = pid > 0 ? identityOf(pid) : undefined;
  if (identity?.includes(cluster)) {
    throw new StartupError(`PostgreSQL already runs on ${cluster} (process ${pid}): stop that one first.`);
  }
  rmSync(file, { force: true });
}

/** Reads the password that the cluster was created with. */
export function readPassword(dataDir: string): string {
  try {
    return readFileSync(join(dataDir, 'password'), 'utf8').trim();
  } catch {
    throw new StartupError(damaged(dataDir, 'its password file is missing'));
  }
}

/**
 * The environment for PostgreSQL. Its messages must be English, because we search them. The user's PG*
 * variables are meant for other servers.
 */
export function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}
