import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { Connection } from '@temporalio/client';
import { loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { ConfigError } from '../domain/config-error.ts';

/**
 * How to connect to Temporal: address, TLS and credentials. They come from the settings that Temporal's own
 * tools and SDKs use. `options` contains secrets, so never log it.
 */
export interface TemporalTarget {
  address: string;
  namespace: string;
  options: NativeConnectionOptions;
}

/** The fields of the configuration that a TemporalTarget is made from. */
export interface TemporalConfig {
  TEMPORAL_ADDRESS: string;
  TEMPORAL_NAMESPACE: string;
  temporal: NativeConnectionOptions;
}

type Environment = Record<string, string | undefined>;

/** The settings that `readTemporal` reads, besides TEMPORAL_GRPC_META_*. */
export const CONNECTION_SETTINGS = [
  'TEMPORAL_ADDRESS',
  'TEMPORAL_NAMESPACE',
  'TEMPORAL_API_KEY',
  'TEMPORAL_TLS',
  'TEMPORAL_TLS_CLIENT_CERT_PATH',
  'TEMPORAL_TLS_CLIENT_CERT_DATA',
  'TEMPORAL_TLS_CLIENT_KEY_PATH',
  'TEMPORAL_TLS_CLIENT_KEY_DATA',
  'TEMPORAL_TLS_SERVER_CA_CERT_PATH',
  'TEMPORAL_TLS_SERVER_CA_CERT_DATA',
  'TEMPORAL_TLS_SERVER_NAME',
  'TEMPORAL_CONFIG_FILE',
  'TEMPORAL_PROFILE',
] as const;

const LOCAL = '127.0.0.1:7233';

/** Settings that select a server other than the one that `npm start` brings. */
const CHOOSES_SERVER = [
  'TEMPORAL_ADDRESS',
  'EMS_TEMPORAL_ADDRESS',
  'TEMPORAL_CONFIG_FILE',
  'TEMPORAL_PROFILE',
];

/** Says whether the settings name a Temporal server. */
export function namesTemporal(env: Environment): boolean {
  return CHOOSES_SERVER.some((name) => env[name]);
}

/**
 * Removes the settings that say how to reach a Temporal server, for processes that use our own server without
 * TLS.
 */
export function withoutTemporal<T extends Environment>(env: T): Environment {
  const ours: readonly string[] = [...CONNECTION_SETTINGS, 'EMS_TEMPORAL_ADDRESS'];
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !ours.includes(name) && !name.startsWith('TEMPORAL_GRPC_META_')),
  );
}

/**
 * Reads the TEMPORAL_* settings. @throws ConfigError: one sentence that names the setting and contains no
 * secret
 */
export function readTemporal(env: Environment): TemporalTarget {
  const given = settingsOf(env);
  const { connectionOptions, namespace } = load(given);
  const { address = LOCAL, apiKey } = connectionOptions;
  if (!/^[^\s/]+:\d+$/.test(address)) throw new ConfigError('TEMPORAL_ADDRESS: must be host:port');
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new ConfigError('TEMPORAL_API_KEY: has characters that no API key has');
  }
  const tls = usableTls(connectionOptions.tls);
  if (apiKey !== undefined && !tls && !isThisMachine(address)) {
    throw new ConfigError(
      'TEMPORAL_API_KEY: would be sent unencrypted: leave out TEMPORAL_TLS, or set it to true',
    );
  }
  const { metadata } = connectionOptions;
  return {
    address,
    namespace: namespace || 'default',
    options: {
      address,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(tls === undefined ? {} : { tls }),
      ...(metadata === undefined ? {} : { metadata }),
    },
  };
}

/** Connects a script to Temporal. @throws when the server can't be reached in time */
export function connectTo({ options }: TemporalTarget, connectTimeout: number): Promise<Connection> {
  return Connection.connect({ ...options, connectTimeout });
}

/**
 * The settings in the form that the library needs: it would take an empty text for a value, and any word but
 * `true` and `1` for "no TLS".
 */
function settingsOf(env: Environment): Record<string, string> {
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && value.trim() !== '') given[name] = value;
  }
  if (given.EMS_TEMPORAL_ADDRESS) given.TEMPORAL_ADDRESS ??= given.EMS_TEMPORAL_ADDRESS;
  if (given.TEMPORAL_API_KEY) given.TEMPORAL_API_KEY = given.TEMPORAL_API_KEY.trim();
  if (given.TEMPORAL_TLS) {
    const word = given.TEMPORAL_TLS.toLowerCase();
    if (!['true', '1', 'false', '0'].includes(word)) {
      throw new ConfigError('TEMPORAL_TLS: must be true or false');
    }
    given.TEMPORAL_TLS = word;
  }
  return given;
}

function load(given: Record<string, string>) {
  const { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: wanted } = given;
  try {
    const profile = loadClientConfigProfile({
      overrideEnvVars: given,
      // The library ignores a missing file, so the file is read here.
      ...(file ? { configSource: { data: readFileSync(file) } } : {}),
      // The configuration file of Temporal's command line must not send our work to another server, so it
      // counts only if it is named.
      disableFile: !file && !wanted,
    });
    // The library would connect without a certificate if only the certificate or only its key is given.
    if (!profile.tls?.clientCert !== !profile.tls?.clientKey) {
      throw new Error('a client certificate needs its key, and a key its certificate');
    }
    return toClientOptions(profile);
  } catch (error) {
    throw new ConfigError(`TEMPORAL_*: ${reasonOf(error as NodeJS.ErrnoException)}`);
  }
}

function reasonOf(error: NodeJS.ErrnoException): string {
  // The parser's message quotes the lines around the mistake, which may contain the API key.
  if ('codeblock' in error && 'line' in error) {
    return `the configuration file is not valid TOML (line ${error.line})`;
  }
  return error.code && error.path ? `${error.path} can't be read (${error.code})` : firstLine(error.message);
}

/** Checks the certificates. For bad ones the gRPC libraries say only that the server can't be reached. */
function usableTls(tls: NativeConnectionOptions['tls']): NativeConnectionOptions['tls'] {
  if (tls === null || typeof tls !== 'object') return tls ?? undefined;
  const { clientCertPair: pair, serverRootCACertificate: ca } = tls;
  try {
    createSecureContext({
      ...(pair ? { cert: Buffer.from(pair.crt), key: Buffer.from(pair.key) } : {}),
      ...(ca ? { ca: Buffer.from(ca) } : {}),
    });
  } catch (error) {
    throw new ConfigError(
      `TEMPORAL_TLS_*: a certificate or key can't be used (${firstLine((error as Error).message)})`,
    );
  }
  return tls;
}

function isThisMachine(address: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]):\d+$/.test(address);
}

const firstLine = (text: string) => text.split('\n')[0]!;
