import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { channelsSetting } from './activities/channels/settings.ts';
import { databaseUrl } from './db/connections/address.ts';
import { ConfigError } from './domain/config-error.ts';
import { isSecret } from './domain/keys/key.ts';
import { parseNetwork } from './domain/network.ts';
import { PRIVATE_NETWORKS } from './domain/producers/probe-address.ts';
import { CONNECTION_SETTINGS, readTemporal, type TemporalConfig } from './temporal-config/connection.ts';

/** The reference's token: fine on loopback, refused anywhere else. */
const DEFAULT_INGEST_TOKEN = 'local-token';

/** The shortest token where others may try one after the other. */
const TOKEN_BYTES = 16;

const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** Bytes, also as 500MB, 20GiB or 1.5T: by 1024, however it is written. */
const bytes = z
  .string()
  .regex(/^\d+(\.\d+)?\s*([kmgt]i?)?b?$/i, 'must be a number of bytes, such as 20GiB')
  .transform((text) => {
    const [, number, unit = ''] = /^([\d.]+)\s*([kmgt]?)/i.exec(text)!;
    return Math.round(Number(number) * 1024 ** ' kmgt'.indexOf(unit.toLowerCase() || ' '));
  });

/**
 * Addresses and networks, separated by commas. `private` stands for those that people have for themselves.
 */
const networks = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(/[\s,]+/)
      .filter(Boolean)
      .flatMap((word) => (word === 'private' ? PRIVATE_NETWORKS : [word])),
  )
  .refine((list) => list.every((text) => parseNetwork(text) !== null), {
    error: 'must be addresses and networks (10.0.0.0/8), separated by commas',
  });

const schema = z.object({
  /** PostgreSQL for events, rules and incidents. */
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  /** The same in parts, which need no escapes. DATABASE_URL wins where both are set. */
  DATABASE_HOST: z.string().optional(),
  DATABASE_PORT: integer(1, 65535).default(5432),
  DATABASE_USER: z.string().min(1).default('tocsin'),
  DATABASE_PASSWORD: z.string().optional(),
  DATABASE_NAME: z.string().min(1).default('tocsin'),
  /**
   * The role that the API and the workers log in as, when it is not the one that migrates: migrations grant
   * it what it needs.
   */
  DATABASE_GRANT_TO: z.string().min(1).optional(),
  /** `skip`: namespace and search attributes are made by others, as in Temporal Cloud. */
  TEMPORAL_SETUP: z.enum(['run', 'skip']).default('run'),
  /** Address the API listens on. Off loopback keys are asked for, and the default ingest token is refused. */
  HOST: z.string().min(1).default('127.0.0.1'),
  PORT: integer(0, 65535).default(8000),
  /**
   * Seconds that a connection without requests is kept open. Longer than a load balancer keeps its own, or a
   * request that it sends as this end closes is answered with 502: most keep them for 60 s, Google's for 600.
   */
  KEEP_ALIVE_SECONDS: integer(1, 3600).default(75),
  /** What senders of POST /internal/events give in x-ingest-token. */
  INGEST_TOKEN: z
    .string()
    .regex(/^[!-~](?:[ -~]*[!-~])?$/, 'must be ASCII without spaces around it: a header carries nothing else')
    .default(DEFAULT_INGEST_TOKEN),
  /**
   * Proxies in front of the API, by address or network, separated by commas: the client's address is then
   * what they say, and while no keys are asked for, what they pass on is taken.
   */
  TRUSTED_PROXIES: networks,
  /**
   * `open`: no keys are asked for, and only this machine may reach the API. By default so on loopback, `keys`
   * elsewhere.
   */
  AUTH: z.enum(['open', 'keys']).optional(),
  /**
   * The key to begin with, which makes the others: `tk` and 30 letters and digits. Or BOOTSTRAP_KEY_FILE for
   * a file that holds it.
   */
  BOOTSTRAP_KEY: z
    .string()
    .refine((text) => isSecret('key', text), 'must be tk and 30 letters and digits')
    .optional(),
  BOOTSTRAP_KEY_FILE: z.string().optional(),
  /** Where a worker's metrics are scraped; without a port, nowhere. The API has GET /metrics. */
  METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  METRICS_PORT: integer(0, 65535).optional(),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Connections each process may hold to PostgreSQL. */
  DATABASE_POOL: integer(2, 100).default(10),
  /** Events waiting for their append, per process; more are refused with 503. */
  BUFFER_EVENTS: integer(100, 1_000_000).default(20_000),
  /** Events in one append at the most. */
  APPEND_EVENTS: integer(1, 50_000).default(2_000),
  /** Ingest activities a second over all workers, until PUT /backpressure says otherwise. */
  INGEST_RATE_LIMIT: z.coerce.number().positive().max(100_000).default(100),
  /**
   * Networks that are not public and that HTTP checks may look into, separated by commas; `private`: this
   * machine's and all that people have for themselves. Metadata services are never asked.
   */
  HTTP_CHECK_NETWORKS: networks,
  /** Days that events are kept. No rule's window may be longer. */
  RETENTION_DAYS: integer(1, 3650).default(30),
  /** Days that resolved incidents are kept, with all that was said about them. */
  INCIDENT_RETENTION_DAYS: integer(1, 36_500).default(365),
  /**
   * A path on PostgreSQL's disk, for its free space; found by itself when PostgreSQL runs on this machine.
   */
  DISK_PATH: z.string().min(1).optional(),
  /** What PostgreSQL may take in all, where no path shows its disk. */
  DISK_BYTES: bytes.optional(),
  /** Free space of that disk, in percent, below which it is told; with 50 GiB free it never is. */
  DISK_WARN_PERCENT: z.coerce.number().min(0).max(100).default(15),
  /** The same, below which no more events are taken; with 10 GiB free they always are. */
  DISK_REFUSE_PERCENT: z.coerce.number().min(0).max(100).default(5),
  /** JSON list of notification channels, or CHANNELS_FILE for a file that holds it. */
  CHANNELS: channelsSetting,
  CHANNELS_FILE: z.string().optional(),
  /**
   * Address people reach the API by: for links in notices, and the name under which it takes changes from
   * browsers.
   */
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:8000'),
  /** The file that `npm run build:workflows` made; without it each worker process bundles at its start. */
  WORKFLOW_BUNDLE: z.string().optional(),
});

export type Config = Readonly<z.infer<typeof schema> & { AUTH: 'open' | 'keys' } & TemporalConfig>;
export { ConfigError };

/** Every variable the product reads, for .env.example and the compose file to be held against. */
export const configKeys: readonly string[] = [...Object.keys(schema.shape), ...CONNECTION_SETTINGS];

/** The reference's names for ours. Ours win where both are set. */
export const ALIASES: Readonly<Record<string, string>> = {
  EMS_DATABASE_URL: 'DATABASE_URL',
  EMS_INTERNAL_INGEST_TOKEN: 'INGEST_TOKEN',
  EMS_TEMPORAL_ADDRESS: 'TEMPORAL_ADDRESS',
};

/** Parses the environment once. @throws ConfigError */
export function loadConfig(env: Record<string, string | undefined> = process.env): Config {
  const given: Record<string, string> = {};
  for (const [key, value] of Object.entries(env)) {
    if (value === undefined || value === '') continue;
    const name = ALIASES[key] ?? key;
    if (name === key || given[name] === undefined) given[name] = value;
  }
  given.DATABASE_URL = databaseUrl(given) ?? '';
  if (given.CHANNELS_FILE) given.CHANNELS = readFileOf('CHANNELS_FILE', given.CHANNELS_FILE);
  const bootstrapKey = readBootstrapKey(given);
  if (bootstrapKey !== undefined) given.BOOTSTRAP_KEY = bootstrapKey;
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ConfigError(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { AUTH, HOST } = parsed.data;
  const { address, namespace, options } = readTemporal(given);
  const config = {
    ...parsed.data,
    ...{ AUTH: AUTH ?? usualAuth(HOST), TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace },
    temporal: options,
  };
  checkDoors(config);
  return Object.freeze(config);
}

/** No well-known way in, and no way without a key, where others can come. @throws ConfigError */
function checkDoors({ HOST, AUTH, INGEST_TOKEN, BOOTSTRAP_KEY }: Config): void {
  const reason = isLoopback(HOST) ? 'AUTH is keys' : `HOST is ${HOST}, which others can reach`;
  if (AUTH === 'open') {
    if (isLoopback(HOST)) return;
    throw new ConfigError(`${reason}, but AUTH is open: leave it out, or set it to keys.`);
  }
  if (INGEST_TOKEN === DEFAULT_INGEST_TOKEN) {
    throw new ConfigError(
      `${reason}, but INGEST_TOKEN is the well-known default: set INGEST_TOKEN to a secret of your own.`,
    );
  }
  if (Buffer.byteLength(INGEST_TOKEN) < TOKEN_BYTES) {
    throw new ConfigError(
      `${reason}, but INGEST_TOKEN is shorter than ${TOKEN_BYTES} bytes: set it to a longer one, such as the output of "openssl rand -hex 24".`,
    );
  }
  if (BOOTSTRAP_KEY === undefined) {
    throw new ConfigError(
      `${reason}, so keys are asked for, but there is none to begin with: set BOOTSTRAP_KEY to tk and 30 random letters and digits, or BOOTSTRAP_KEY_FILE to a file that holds that.`,
    );
  }
}

/** The key that BOOTSTRAP_KEY, or the file that BOOTSTRAP_KEY_FILE names, holds. @throws ConfigError */
export function readBootstrapKey(env: Record<string, string | undefined>): string | undefined {
  if (!env.BOOTSTRAP_KEY_FILE) return env.BOOTSTRAP_KEY || undefined;
  return readFileOf('BOOTSTRAP_KEY_FILE', env.BOOTSTRAP_KEY_FILE).trim();
}

/** What AUTH is where it is not set. */
export function usualAuth(host: string): 'open' | 'keys' {
  return isLoopback(host) ? 'open' : 'keys';
}

/** Whether only this machine reaches the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function readFileOf(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${variable}: ${(error as Error).message}`);
  }
}
