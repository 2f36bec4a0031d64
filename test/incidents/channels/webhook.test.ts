import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { webhook } from '../../../activities/channels/webhook.ts';
import { sampleNotice } from './notice.ts';
import { type Receiver, receiver } from './receiver.ts';

const secret = () => `whsec_${randomBytes(32).toString('base64')}`;

describe('a webhook', () => {
  let there: Receiver;
  beforeEach(async () => {
    there = await receiver();
  });
  afterEach(() => there.close());

  const send = (channel: { secrets?: string[]; url?: string; name?: string }, now = Date.now()) =>
    webhook
      .create({ kind: 'webhook', name: 'ops', url: there.url, secrets: [], ...channel }, () => now)
      .send(sampleNotice(), AbortSignal.timeout(5000));
  const headersOf = (index: number) => there.received[index]!.headers as Record<string, string>;

  it('is signed so that each of its secrets verifies it, and no other', async () => {
    const secrets = [secret(), secret()];
    await send({ secrets });
    const { body } = there.received[0]!;
    for (const one of secrets) assert.deepEqual(new Webhook(one).verify(body, headersOf(0)), sampleNotice());
    assert.throws(() => new Webhook(secret()).verify(body, headersOf(0)), /No matching signature/);
    assert.throws(() => new Webhook(secrets[0]!).verify(`${body} `, headersOf(0)), /No matching signature/);
  });

  it('keeps its id in retries, with the time of the attempt; another channel has another id', async () => {
    const secrets = [secret()];
    await send({ secrets }, Date.now() - 60_000);
    await send({ secrets });
    await send({ secrets, name: 'other' });
    const [first, second, other] = [headersOf(0), headersOf(1), headersOf(2)];
    assert.equal(first['webhook-id'], second['webhook-id']);
    assert.notEqual(first['webhook-id'], other['webhook-id']);
    assert.equal(Number(second['webhook-timestamp']) - Number(first['webhook-timestamp']), 60);
    assert.notEqual(first['webhook-signature'], second['webhook-signature']);
  });

  it('is unsigned without a secret', async () => {
    await send({});
    assert.equal(headersOf(0)['webhook-signature'], undefined);
    assert.ok(headersOf(0)['webhook-id']);
  });

  it('authenticates with the credentials of its URL, and never shows them', async () => {
    await there.close();
    there = await receiver(({ headers }) => ({ status: 500, body: `no ${headers.authorization}` }));
    const url = there.url.replace('//', '//user:p%40ssword@');
    await assert.rejects(send({ url }), { message: '500 no Basic <redacted>' });
    assert.equal(headersOf(0).authorization, `Basic ${Buffer.from('user:p@ssword').toString('base64')}`);
  });

  it('never shows its secrets', async () => {
    const one = secret();
    await there.close();
    there = await receiver(() => ({ status: 500, body: `${one} or ${one.slice(6)}` }));
    await assert.rejects(send({ secrets: [one] }), { message: '500 <redacted> or <redacted>' });
  });

  it('is disabled by 410', async () => {
    await there.close();
    there = await receiver(() => ({ status: 410 }));
    await assert.rejects(send({}), { name: 'FinalFailure', message: /wants no more notices/ });
  });
});
