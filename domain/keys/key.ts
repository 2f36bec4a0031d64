import { hash, randomInt } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** A key and a session's token, by how they begin: neither is taken for the other. */
const FORMS = { key: { mark: 'tk', length: 32 }, session: { mark: 'ts', length: 48 } } as const;

export type SecretKind = keyof typeof FORMS;

/**
 * Characters of a key by which people recognise it: its mark and four of its own, which leaves 155 bits to
 * guess.
 */
export const PREFIX_LENGTH = 6;

const form = ({ mark, length }: { mark: string; length: number }) =>
  new RegExp(`^${mark}[0-9A-Za-z]{${length - mark.length}}$`);
const PATTERNS = { key: form(FORMS.key), session: form(FORMS.session) };

/**
 * A new secret: `tk` and 30 random characters, 178 bits, for a key, which makes it as long as PagerDuty's
 * integration keys, so that its clients take one for a `routing_key`.
 */
export function makeSecret(kind: SecretKind): string {
  const { mark, length } = FORMS[kind];
  const random = Array.from({ length: length - mark.length }, () => ALPHABET[randomInt(ALPHABET.length)]);
  return mark + random.join('');
}

/** Whether a text has a secret's form; nothing else is ever looked up. */
export function isSecret(kind: SecretKind, text: string): boolean {
  return PATTERNS[kind].test(text);
}

/**
 * What is kept of a secret: SHA-256 in hex. A slow, salted hash protects what people think up; 178 random
 * bits can't be guessed from their hash however fast it is, and every request needs it. The look-up by hash
 * also gives nothing away by its time.
 */
export function hashOf(secret: string): string {
  return hash('sha256', secret, 'hex');
}
