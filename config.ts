import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { channelsSetting } from './activities/channels/settings.ts';
import { accessSettings, checkAccessSettings, usualAuth } from './api/auth/settings.ts';
import { databaseUrl } from './db/connections/address.ts';
import { databaseSettings } from './db/connections/settings.ts';
import { ConfigError } from './domain/config-error.ts';
import { integer, networks } from './domain/settings.ts';
import { appendSettings } from './ingest/append/settings.ts';
import { diskSettings } from './process/disk/settings.ts';
import { CONNECTION_SETTINGS, readTemporal, type TemporalConfig } from './temporal-config/connection.ts';

/** All settings: those of each module, then those of the processes as a whole. */
const schema = z.object({
  ...databaseSettings,
  ...accessSettings,
  ...appendSettings,
  ...diskSettings,
  /** `skip`: others create the namespace and search attributes, as in Temporal Cloud. */
  TEMPORAL_SETUP: z.enum(['run', 'skip']).default('run'),
  /** Where a worker serves its metrics. Without a port it serves none. The API has GET /metrics. */
  METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  METRICS_PORT: integer(0, 65535).optional(),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Ingest activities per second for all workers together, unless PUT /backpressure sets another limit. */
  INGEST_RATE_LIMIT: z.coerce.number().positive().max(100_000).default(100),
  /**
   * Networks that HTTP checks may connect to although they are not public, separated by commas. `private`
   * means this machine and all private networks. Metadata services are always refused.
   */
  HTTP_CHECK_NETWORKS: networks,
  /** How many days events are kept. No rule may have a longer window. */
  RETENTION_DAYS: integer(1, 3650).default(30),
  /** How many days resolved incidents are kept, with their timelines and notices. */
  INCIDENT_RETENTION_DAYS: integer(1, 36_500).default(365),
  /** The notification channels as a JSON list. CHANNELS_FILE names a file that contains it instead. */
  CHANNELS: channelsSetting,
  CHANNELS_FILE: z.string().optional(),
  /**
   * The file that `npm run build:workflows` wrote. Without it, each worker process bundles the workflows when
   * it starts.
   */
  WORKFLOW_BUNDLE: z.string().optional(),
});

export type Config = Readonly<z.infer<typeof schema> & { AUTH: 'open' | 'keys' } & TemporalConfig>;
export { ConfigError };

/** Every variable that Tocsin reads. A test compares the list with .env.example and the compose file. */
export const configKeys: readonly string[] = [...Object.keys(schema.shape), ...CONNECTION_SETTINGS];

/** The reference's names of our settings. If both are set, our name counts. */
export const ALIASES: Readonly<Record<string, string>> = {
  EMS_DATABASE_URL: 'DATABASE_URL',
  EMS_INTERNAL_INGEST_TOKEN: 'INGEST_TOKEN',
  EMS_TEMPORAL_ADDRESS: 'TEMPORAL_ADDRESS',
};

/** Reads the configuration from the environment. @throws ConfigError */
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
  checkAccessSettings(config);
  return Object.freeze(config);
}

/** Reads the key in BOOTSTRAP_KEY, or in the file that BOOTSTRAP_KEY_FILE names. @throws ConfigError */
export function readBootstrapKey(env: Record<string, string | undefined>): string | undefined {
  if (!env.BOOTSTRAP_KEY_FILE) return env.BOOTSTRAP_KEY || undefined;
  return readFileOf('BOOTSTRAP_KEY_FILE', env.BOOTSTRAP_KEY_FILE).trim();
}

function readFileOf(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${variable}: ${(error as Error).message}`);
  }
}
