import { isIPv6 } from 'node:net';
import { resolve } from 'node:path';
import { usualAuth } from '../api/auth/settings.ts';
import { readBootstrapKey } from '../config.ts';
import { databaseUrl } from '../db/connections/address.ts';
import { namesTemporal, readTemporal, type TemporalTarget } from '../temporal-config/connection.ts';
import { StartupError } from './startup-error.ts';
import type { UiMode } from './temporal/ui.ts';

export type Settings = {
  dataDir: string;
  runDir: string;
  apiPort: number;
  /**
   * The address at which this machine reaches the API: HOST, or 127.0.0.1 if HOST is unset or means all
   * addresses.
   */
  apiHost: string;
  /** Base URL of the API at that address. */
  apiUrl: string;
  /** Whether the API requires keys, and its first key. */
  auth: 'open' | 'keys';
  apiKey?: string;
  /** The port for PostgreSQL. If undefined: the port of the last time, else 5433, else any free port. */
  pgPort?: number;
  temporalPort: number;
  uiPort: number;
  /**
   * What people may do in Temporal's Web UI, which requires no key. The default is `off` if the API requires
   * keys.
   */
  ui: UiMode | 'off';
  namespace: string;
  databaseUrl?: string;
  /** An existing Temporal server. If undefined, `npm start` runs its own. */
  temporal?: TemporalTarget;
  /** Whether to create the namespace and search attributes that the existing server lacks. */
  temporalSetup: boolean;
  samples: boolean;
};

type Environment = Record<string, string | undefined>;

/**
 * Reads the settings of `npm start` from the environment. @throws StartupError that names an invalid variable
 */
export function readSettings(env: Environment = process.env): Settings {
  const dataDir = resolve(env.DATA_DIR || `${import.meta.dirname}/../.data`);
  const apiHost = reachable(env.HOST || 'localhost');
  const apiPort = port(env, 'PORT') ?? 8000;
  const auth = env.AUTH === 'keys' ? 'keys' : usualAuth(env.HOST || '127.0.0.1');
  const temporal = temporalTarget(env);
  return {
    dataDir,
    runDir: `${dataDir}/run`,
    apiPort,
    apiHost,
    apiUrl: `http://${isIPv6(apiHost) ? `[${apiHost}]` : apiHost}:${apiPort}`,
    auth,
    apiKey: readBootstrapKey(env),
    pgPort: port(env, 'PG_PORT'),
    temporalPort: port(env, 'TEMPORAL_PORT') ?? 7233,
    uiPort: port(env, 'TEMPORAL_UI_PORT') ?? 8233,
    ui: uiMode(env.TEMPORAL_UI || (auth === 'keys' ? 'off' : 'read')),
    namespace: temporal?.namespace ?? (env.TEMPORAL_NAMESPACE || 'default'),
    databaseUrl: databaseTarget(env),
    ...(temporal ? { temporal } : {}),
    temporalSetup: temporalSetup(env.TEMPORAL_SETUP || 'run'),
    samples: !/^(off|no|false|0)$/i.test(env.SAMPLES ?? ''),
  };
}

const reachable = (host: string) => (['localhost', '0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host);

function port(env: Environment, name: string): number | undefined {
  if (!env[name]) return undefined;
  const number = Number(env[name]);
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  throw new StartupError(`${name} must be a port between 1 and 65535, but is "${env[name]}".`);
}

function databaseTarget(env: Environment): string | undefined {
  return asked(() => databaseUrl({ ...env, DATABASE_URL: env.DATABASE_URL || env.EMS_DATABASE_URL }));
}

function temporalTarget(env: Environment): TemporalTarget | undefined {
  return namesTemporal(env) ? asked(() => readTemporal(env)) : undefined;
}

/** Converts the error of a settings reader into a message for the person at the terminal. */
function asked<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new StartupError(`${(error as Error).message}.`);
  }
}

function temporalSetup(given: string): boolean {
  if (given === 'run' || given === 'skip') return given === 'run';
  throw new StartupError(`TEMPORAL_SETUP must be run or skip, but is "${given}".`);
}

function uiMode(given: string): UiMode | 'off' {
  if (given === 'read' || given === 'write' || given === 'off') return given;
  throw new StartupError(`TEMPORAL_UI must be read, write or off, but is "${given}".`);
}
