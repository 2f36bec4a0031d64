/** How long a connection may be idle before TCP checks whether the peer is there, in milliseconds. */
export const KEEP_ALIVE_MS = 5_000;

/**
 * Settings for each connection, so that PostgreSQL soon releases what a vanished client held, locks above
 * all. It checks after 5 s whether the client is there, and closes a connection whose data is not
 * acknowledged within 15 s.
 */
const LIVENESS = {
  tcp_keepalives_idle: '5',
  tcp_keepalives_interval: '2',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '15000',
};

/** Adds these settings to a URL. Settings that the URL already contains take precedence. */
export function withServerOptions(databaseUrl: string, settings: Readonly<Record<string, string>>): string {
  const url = new URL(databaseUrl);
  const own = url.searchParams.get('options') ?? '';
  const added = Object.entries({ ...LIVENESS, ...settings })
    .filter(([name]) => !own.includes(name))
    .map(([name, value]) => `-c ${name}=${value}`);
  url.searchParams.set('options', [own, ...added].join(' ').trim());
  return url.href;
}
