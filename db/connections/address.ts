import { isIPv6 } from 'node:net';
import { ConfigError } from '../../domain/config-error.ts';

type Environment = Record<string, string | undefined>;

/**
 * The address of PostgreSQL: DATABASE_URL, or a URL made from its parts; undefined if neither is set.
 * @throws ConfigError: one sentence that names the setting and contains no secret
 */
export function databaseUrl(env: Environment): string | undefined {
  // The reference's URL names a Python driver: postgresql+psycopg://…
  if (env.DATABASE_URL) return checkedUrl(env.DATABASE_URL.replace(/^postgres(ql)?\+\w+:/, 'postgresql:'));
  if (!env.DATABASE_HOST) return undefined;
  const part = (name: string, otherwise: string) => encodeURIComponent(env[name] || otherwise);
  const user = [part('DATABASE_USER', 'tocsin'), part('DATABASE_PASSWORD', '')].filter(Boolean).join(':');
  const place = `${checkedHost(env.DATABASE_HOST)}:${checkedPort(env.DATABASE_PORT || '5432')}`;
  return `postgresql://${user}@${place}/${part('DATABASE_NAME', 'tocsin')}`;
}

function checkedUrl(text: string): string {
  if (!/^postgres(ql)?:/.test(text)) {
    throw new ConfigError('DATABASE_URL: must begin with postgresql://');
  }
  if (!URL.canParse(text)) {
    throw new ConfigError(
      'DATABASE_URL: is not a valid URL; if the password contains /, # or ?, set DATABASE_HOST and DATABASE_PASSWORD instead',
    );
  }
  const { username, password, hostname, pathname } = new URL(text);
  try {
    for (const escaped of [username, password, hostname, pathname]) decodeURIComponent(escaped);
  } catch {
    throw new ConfigError('DATABASE_URL: has a % that is not part of an escape: write it as %25');
  }
  return text;
}

/**
 * A host in the form that URLs need. Errors do not show it, because somebody may have put a whole URL with a
 * password there.
 */
function checkedHost(host: string): string {
  if (isIPv6(host) && !host.includes('%')) return `[${host}]`;
  if (/^[\w.-]+$/.test(host)) return host;
  throw new ConfigError(
    'DATABASE_HOST: must be a host name or an address alone, such as db or 10.0.0.5; the port goes into DATABASE_PORT, a whole URL into DATABASE_URL',
  );
}

function checkedPort(port: string): string {
  if (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535) return port;
  throw new ConfigError('DATABASE_PORT: must be a port between 1 and 65535');
}
