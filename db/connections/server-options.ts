/** How long a connection may lie idle before TCP itself asks whether the peer is there, in milliseconds. */
export const KEEP_ALIVE_MS = 5_000;

/**
 * What PostgreSQL is told of each connection, so that it soon lets go of what a vanished client held, locks
 * above all: whether the client is there is asked after 5 s, and what it does not acknowledge within 15 s
 * ends the connection.
 */
const LIVENESS = {
  tcp_keepalives_idle: '5',
  tcp_keepalives_interval: '2',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '15000',
};

/** A URL whose connections have these settings. A URL that sets one itself knows better. */
export function withServerOptions(databaseUrl: string, settings: Readonly<Record<string, string>>): string {
  const url = new URL(databaseUrl);
  const own = url.searchParams.get('options') ?? '';
  const added = Object.entries({ ...LIVENESS, ...settings })
    .filter(([name]) => !own.includes(name))
    .map(([name, value]) => `-c ${name}=${value}`);
  url.searchParams.set('options', [own, ...added].join(' ').trim());
  return url.href;
}
