import { z } from 'zod';
import { ConfigError } from '../../domain/config-error.ts';
import { isSecret } from '../../domain/keys/key.ts';
import { integer, networks } from '../../domain/settings.ts';

/** The default token of the reference. It is allowed on loopback only. */
const DEFAULT_INGEST_TOKEN = 'local-token';

/** The shortest allowed ingest token in bytes, if others can reach the API and could guess it. */
const TOKEN_BYTES = 16;

/** Settings: where the API listens, and who may use it. */
export const accessSettings = {
  /**
   * The address that the API listens on. Beyond loopback, keys are required and the default ingest token is
   * refused.
   */
  HOST: z.string().min(1).default('127.0.0.1'),
  PORT: integer(0, 65535).default(8000),
  /**
   * How long an idle connection stays open, in seconds. It must be longer than the load balancer's own limit:
   * otherwise a request that arrives while Tocsin closes the connection is answered with 502. Most load
   * balancers use 60 s, Google's uses 600.
   */
  KEEP_ALIVE_SECONDS: integer(1, 3600).default(75),
  /**
   * The address at which people reach the API. Notices link to it, and browsers may make changes only through
   * it.
   */
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:8000'),
  /** The token that senders of POST /internal/events send in x-ingest-token. */
  INGEST_TOKEN: z
    .string()
    .regex(
      /^[!-~](?:[ -~]*[!-~])?$/,
      'must be ASCII without spaces around it, because it is sent in a header',
    )
    .default(DEFAULT_INGEST_TOKEN),
  /**
   * Proxies in front of the API: addresses or networks, separated by commas. The API believes the client
   * addresses that they report. If no keys are required, requests through other proxies are refused.
   */
  TRUSTED_PROXIES: networks,
  /**
   * `open`: no keys are required, and only this machine may reach the API. The default is `open` on loopback
   * and `keys` elsewhere.
   */
  AUTH: z.enum(['open', 'keys']).optional(),
  /**
   * The first key, with which other keys are created: `tk` and 30 letters and digits. BOOTSTRAP_KEY_FILE
   * names a file that contains it instead.
   */
  BOOTSTRAP_KEY: z
    .string()
    .refine((text) => isSecret('key', text), 'must be tk and 30 letters and digits')
    .optional(),
  BOOTSTRAP_KEY_FILE: z.string().optional(),
};

type AccessSettings = z.output<z.ZodObject<typeof accessSettings>> & { AUTH: 'open' | 'keys' };

/**
 * Checks that an API which others can reach has neither open access nor a token that they know or can guess.
 * @throws ConfigError
 */
export function checkAccessSettings({ HOST, AUTH, INGEST_TOKEN, BOOTSTRAP_KEY }: AccessSettings): void {
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
      `${reason}, so the API requires keys, but there is none to begin with: set BOOTSTRAP_KEY to tk and 30 random letters and digits, or BOOTSTRAP_KEY_FILE to a file that holds that.`,
    );
  }
}

/** The default of AUTH. */
export function usualAuth(host: string): 'open' | 'keys' {
  return isLoopback(host) ? 'open' : 'keys';
}

/** Says whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
