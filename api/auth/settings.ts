import { z } from 'zod';
import { ConfigError } from '../../domain/config-error.ts';
import { isSecret } from '../../domain/keys/key.ts';
import { integer, networks } from '../../domain/settings.ts';

/** The reference's token: fine on loopback, refused anywhere else. */
const DEFAULT_INGEST_TOKEN = 'local-token';

/** The shortest ingest token, in bytes, if others can reach the API: they could try one after the other. */
const TOKEN_BYTES = 16;

/** The settings that say where the API listens, and who may come in. */
export const accessSettings = {
  /** Address the API listens on. Off loopback keys are asked for, and the default ingest token is refused. */
  HOST: z.string().min(1).default('127.0.0.1'),
  PORT: integer(0, 65535).default(8000),
  /**
   * Seconds that a connection without requests is kept open. Longer than a load balancer keeps its own, or a
   * request that it sends as this end closes is answered with 502: most keep them for 60 s, Google's for 600.
   */
  KEEP_ALIVE_SECONDS: integer(1, 3600).default(75),
  /**
   * Address people reach the API by: for links in notices, and the name under which it takes changes from
   * browsers.
   */
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:8000'),
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
};

type AccessSettings = z.output<z.ZodObject<typeof accessSettings>> & { AUTH: 'open' | 'keys' };

/**
 * Refuses settings by which others could come in without a key, or by a token that they know or can guess.
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
      `${reason}, so keys are asked for, but there is none to begin with: set BOOTSTRAP_KEY to tk and 30 random letters and digits, or BOOTSTRAP_KEY_FILE to a file that holds that.`,
    );
  }
}

/** The default of AUTH. */
export function usualAuth(host: string): 'open' | 'keys' {
  return isLoopback(host) ? 'open' : 'keys';
}

/** Whether only this machine reaches the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
