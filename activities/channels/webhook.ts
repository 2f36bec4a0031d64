import { Webhook } from 'standardwebhooks';
import { type Channel, FinalFailure, messageId, RetryableFailure } from './channel.ts';
import { postJson } from './http.ts';
import { redactor } from './redact.ts';

export interface WebhookConfig {
  name: string;
  url: string;
  /** `whsec_…`; several while one rotates: each signs. None: unsigned. */
  secrets: readonly string[];
}

/**
 * The notice document by Standard Webhooks (github.com/standard-webhooks/standard-webhooks): 2xx is success,
 * 410 means never again, everything else, 3xx included, is tried again.
 */
export function webhookChannel({ name, url, secrets }: WebhookConfig, clock: () => number): Channel {
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
      const { status, detail, retryAfterMs } = await postJson(url, body, { headers, redact, signal, clock });
      if (status >= 200 && status < 300) return { detail };
      if (status === 410) throw new FinalFailure(`${detail}: the receiver has disabled this channel`);
      if (status >= 300 && status < 400) {
        throw new RetryableFailure(`${detail}: a redirect, which is not followed`, retryAfterMs);
      }
      throw new RetryableFailure(detail, retryAfterMs);
    },
  };
}
