import { z } from 'zod';

/** The name of a channel, by which deliveries are recorded. */
export const channelName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not contain control characters');

/** The URL of a receiver. It may contain a user and a password. */
export const webUrl = urlWith(/^https?$/);

/** A URL with one of these protocols, whose user and password can be decoded. */
export function urlWith(protocol: RegExp) {
  return z.url({ protocol }).superRefine((text, context) => {
    if (!URL.canParse(text)) return;
    const { username, password } = new URL(text);
    try {
      decodeURIComponent(`${username}:${password}`);
    } catch {
      context.addIssue({
        code: 'custom',
        message: 'has a % in its user or password that is not part of an escape: write it as %25',
      });
    }
  });
}
