import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { type Channel, type ChannelKind, FinalFailure, messageId, RetryableFailure } from './channel.ts';
import { channelName, webUrl } from './fields.ts';
import { postJson } from './http.ts';
import { redactor } from './redact.ts';

/** Standard Webhooks requires keys of 24 to 64 bytes. */
const secret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]+=*$/, 'must be whsec_ and base64')
  .superRefine((given, context) => {
    const text = given.slice('whsec_'.length);
    const key = Buffer.from(text, 'base64');
    const complain = (message: string) => context.addIssue({ code: 'custom', message });
    if (key.toString('base64') !== text) complain('is not whole base64 after whsec_');
    else if (key.length < 24 || key.length > 64) {
      complain(`must have 24 to 64 bytes in base64 after whsec_, but has ${key.length}`);
    }
  });

const schema = z.strictObject({
  kind: z.literal('webhook'),
  name: channelName,
  url: webUrl,
  /** Several secrets during a rotation: each signs the message. Without any, messages are not signed. */
  secrets: z.array(secret).default([]),
});

/**
 * Sends the notice as Standard Webhooks defines it (github.com/standard-webhooks/standard-webhooks). 2xx is
 * success, and after 410 nothing is sent again. Any other answer, including 3xx, is tried again.
 */
function create({ name, url, secrets }: z.output<typeof schema>, clock: () => number): Channel {
  const signers = secrets.map((secret) => new Webhook(secret));
  const redact = redactor([url], secrets);
  return {
    name,
    kind: 'webhook',
    async send(notice, signal) {
      const id = messageId(notice.id, name);
      const at = new Date(clock());
      const body = JSON.stringify(notice);
      const signature = signers.map((signer) => signer.sign(id, at, body)).join(' ');
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
        ...(signature === '' ? {} : { 'webhook-signature': signature }),
      };
      const { status, detail, retryAfterMs } = await postJson(url, body, {
        headers,
        redact,
        signal,
        clock,
      });
      if (status >= 200 && status < 300) return { detail };
      if (status === 410)
        throw new FinalFailure(`${detail}: the receiver wants no more notices from this webhook`);
      if (status >= 300 && status < 400) {
        throw new RetryableFailure(`${detail}: a redirect, which is not followed`, retryAfterMs);
      }
      throw new RetryableFailure(detail, retryAfterMs);
    },
  };
}

export const webhook = { kind: 'webhook', schema, create } satisfies ChannelKind<typeof schema>;
