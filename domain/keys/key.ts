import { hash, randomInt } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** How keys and session tokens begin, so that one is never taken for the other. */
const FORMS = { key: { mark: 'tk', length: 32 }, session: { mark: 'ts', length: 48 } } as const;

export type SecretKind = keyof typeof FORMS;

/**
 * How many characters of a key are shown so that people recognize it: the mark and four more. 155 random bits
 * remain.
 */
export const PREFIX_LENGTH = 6;

const form = ({ mark, length }: { mark: string; length: number }) =>
  new RegExp(`^${mark}[0-9A-Za-z]{${length - mark.length}}$`);
const PATTERNS = { key: form(FORMS.key), session: form(FORMS.session) };

/**
 * Makes a new secret. A key is `tk` and 30 random characters (178 bits). That is the length of PagerDuty's
 * integration keys, so that PagerDuty's clients accept it as a `routing_key`.
 */
export function makeSecret(kind: SecretKind): string {
  const { mark, length } = FORMS[kind];
  const random = Array.from({ length: length - mark.length }, () => ALPHABET[randomInt(ALPHABET.length)]);
  return mark + random.join('');
}

/** Says whether a text has the form of a secret. Other texts are never looked up. */
export function isSecret(kind: SecretKind, text: string): boolean {
  return PATTERNS[kind].test(text);
}

/**
 * The hash of a secret: SHA-256 in hex. Passwords need a slow, salted hash, because people choose them. A
 * secret of 178 random bits cannot be found from a fast hash either, and every request needs the hash.
 * Looking up by hash also hides the secret from timing attacks.
 */
export function hashOf(secret: string): string {
  return hash('sha256', secret, 'hex');
}
