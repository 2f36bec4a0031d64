import { z } from 'zod';

const webUrl = z.url({ protocol: /^https?$/ }).superRefine(decodable);
const channelName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not contain control characters');
/** Standard Webhooks has the key between 24 and 64 bytes. */
const webhookSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]+=*$/, 'must be whsec_ and base64')
  .superRefine((secret, context) => {
    const text = secret.slice('whsec_'.length);
    const key = Buffer.from(text, 'base64');
    const complain = (message: string) => context.addIssue({ code: 'custom', message });
    if (key.toString('base64') !== text) complain('is not whole base64 after whsec_');
    else if (key.length < 24 || key.length > 64) {
      complain(`must have 24 to 64 bytes in base64 after whsec_, but has ${key.length}`);
    }
  });

/** Where notices go. `events` limits a channel to some kinds of notice; all by default. */
const channel = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('webhook'),
    name: channelName,
    url: webUrl,
    /** Standard Webhooks secrets, `whsec_…`; several while one rotates. */
    secrets: z.array(webhookSecret).default([]),
  }),
  z.strictObject({
    kind: z.literal('slack'),
    name: channelName,
    url: webUrl,
  }),
  z.strictObject({
    kind: z.literal('email'),
    name: channelName,
    /** smtp://user:password@host:port */
    smtp: z.url({ protocol: /^smtps?$/ }).superRefine(decodable),
    from: z.string().min(3),
    to: z.array(z.email()).min(1),
  }),
]);
export type ChannelConfig = z.infer<typeof channel>;

/** The channels of a JSON list, for the setting CHANNELS. */
export function parseChannels(text: string, context: z.RefinementCtx): ChannelConfig[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'must be a JSON list of channels' });
    return z.NEVER;
  }
  const channels = z.array(channel).safeParse(json);
  if (!channels.success) {
    const [issue] = channels.error.issues;
    context.addIssue({ code: 'custom', message: `${issue?.path.join('.')}: ${issue?.message}` });
    return z.NEVER;
  }
  const names = new Set(channels.data.map(({ name }) => name));
  if (names.size < channels.data.length) {
    context.addIssue({ code: 'custom', message: 'two channels have the same name' });
    return z.NEVER;
  }
  return channels.data;
}

/** What a URL says of its user and password is sent decoded. */
function decodable(text: string, context: z.RefinementCtx): void {
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
}
