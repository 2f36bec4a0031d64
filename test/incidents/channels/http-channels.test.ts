import assert from 'node:assert/strict';
import type { Channel } from '../../../activities/channels/channel.ts';
import { slack } from '../../../activities/channels/slack.ts';
import { webhook } from '../../../activities/channels/webhook.ts';
import { sampleNotice } from './notice.ts';
import { type Received, type Reply, receiver } from './receiver.ts';

const now = Date.parse('2026-03-01T10:00:00Z');

const makers: Record<string, (url: string) => Channel> = {
  webhook: (url) => webhook.create({ kind: 'webhook', name: 'ops', url, secrets: [] }, () => now),
  slack: (url) => slack.create({ kind: 'slack', name: 'chat', url }, () => now),
};

type Expected = 'sent' | 'retry' | 'final';
type Case = { says: string; reply: Reply; webhook: Expected; slack: Expected; retryAfterMs?: number };

/** How all HTTP channels react to an answer, side by side. */
const cases: Case[] = [
  { says: '200 ok', reply: { body: 'ok' }, webhook: 'sent', slack: 'sent' },
  { says: '200 and something else', reply: { body: '<html>' }, webhook: 'sent', slack: 'retry' },
  { says: '204', reply: { status: 204 }, webhook: 'sent', slack: 'retry' },
  {
    says: '302, which is not followed',
    reply: { status: 302, headers: { location: '/elsewhere' } },
    webhook: 'retry',
    slack: 'retry',
  },
  { says: '400', reply: { status: 400, body: 'invalid_payload' }, webhook: 'retry', slack: 'final' },
  { says: '404', reply: { status: 404 }, webhook: 'retry', slack: 'final' },
  { says: '408', reply: { status: 408 }, webhook: 'retry', slack: 'retry' },
  { says: '410', reply: { status: 410 }, webhook: 'final', slack: 'final' },
  {
    says: '429 with seconds',
    reply: { status: 429, headers: { 'retry-after': '120' } },
    webhook: 'retry',
    slack: 'retry',
    retryAfterMs: 120_000,
  },
  {
    says: '503 with a date',
    reply: { status: 503, headers: { 'retry-after': 'Sun, 01 Mar 2026 10:01:00 GMT' } },
    webhook: 'retry',
    slack: 'retry',
    retryAfterMs: 60_000,
  },
  {
    says: '503 with nonsense',
    reply: { status: 503, headers: { 'retry-after': 'soon' } },
    webhook: 'retry',
    slack: 'retry',
  },
  { says: '500', reply: { status: 500 }, webhook: 'retry', slack: 'retry' },
];

/** Sends once, and returns the outcome in one form for success and failure. */
async function outcomeOf(channel: Channel, signal = AbortSignal.timeout(5000)) {
  try {
    const { detail } = await channel.send(sampleNotice(), signal);
    return { outcome: 'sent', detail, retryAfterMs: undefined };
  } catch (error) {
    const { name, message, retryAfterMs } = error as Error & { retryAfterMs?: number };
    const outcome = { RetryableFailure: 'retry', FinalFailure: 'final' }[name] ?? name;
    return { outcome, detail: message, retryAfterMs };
  }
}

for (const kind of ['webhook', 'slack'] as const) {
  describe(`the ${kind} channel`, () => {
    const make = makers[kind]!;

    for (const { says, reply, retryAfterMs, ...expected } of cases) {
      it(`treats ${says} as: ${expected[kind]}`, async () => {
        const there = await receiver(() => reply);
        try {
          const result = await outcomeOf(make(there.url));
          assert.equal(result.outcome, expected[kind], result.detail);
          assert.equal(result.retryAfterMs, retryAfterMs);
          assert.equal(there.received.length, 1);
        } finally {
          await there.close();
        }
      });
    }

    it('stops waiting when its time is over, for another attempt', async () => {
      const there = await receiver(() => ({ hang: true }));
      try {
        const result = await outcomeOf(make(there.url), AbortSignal.timeout(50));
        assert.deepEqual(result, { outcome: 'retry', detail: 'no answer in time', retryAfterMs: undefined });
      } finally {
        await there.close();
      }
    });

    it('tries again if nobody listens, and shows no part of the URL', async () => {
      const gone = await receiver();
      await gone.close();
      const result = await outcomeOf(make(`${gone.url}?token=verysecrettoken`));
      assert.equal(result.outcome, 'retry');
      assert.match(result.detail, /ECONNREFUSED/);
      assert.doesNotMatch(result.detail, /secret/);
    });

    it('reads only the beginning of an endless answer, and shows no secret from it', async () => {
      const echo = ({ path, headers }: Received) => ({
        status: 500,
        body: `no ${path} for http://${headers.host}${path} ${'x'.repeat(1_000_000)}`,
      });
      const there = await receiver(echo);
      try {
        const { detail } = await outcomeOf(make(there.url));
        assert.match(detail, /^500 no <redacted> for <redacted>/);
        assert.doesNotMatch(detail, /secret-path/);
        assert.ok(detail.length <= 300);
      } finally {
        await there.close();
      }
    });
  });
}
