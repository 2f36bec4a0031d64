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
  /** `skip`: namespace and search attributes are made by others, as in Temporal Cloud. */
  TEMPORAL_SETUP: z.enum(['run', 'skip']).default('run'),
  /** Where a worker's metrics are scraped; without a port, nowhere. The API has GET /metrics. */
  METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  METRICS_PORT: integer(0, 65535).optional(),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
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
  /** JSON list of notification channels, or CHANNELS_FILE for a file that holds it. */
  CHANNELS: channelsSetting,
  CHANNELS_FILE: z.string().optional(),
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
  checkAccessSettings(config);
  return Object.freeze(config);
}

/** The key that BOOTSTRAP_KEY, or the file that BOOTSTRAP_KEY_FILE names, holds. @throws ConfigError */
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
