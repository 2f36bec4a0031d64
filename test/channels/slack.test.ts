import assert from 'node:assert/strict';
import { slackChannel } from '../../activities/channels/slack.ts';
import { sampleNotice } from './notice.ts';
import { receiver } from './receiver.ts';

describe('a Slack message', () => {
  it('has text and blocks within the limits, nothing of an event works as markup', async () => {
    const there = await receiver(() => ({ body: 'ok' }));
    try {
      const notice = sampleNotice();
      const annotations = Object.fromEntries(
        Array.from({ length: 50 }, (_, i) => [`a${i}`, '&'.repeat(500)]),
      );
      notice.incident.annotations = { ...notice.incident.annotations, ...annotations };
      notice.incident.rule_name = 'long '.repeat(40);
      await slackChannel({ name: 'chat', url: there.url }, Date.now).send(notice, AbortSignal.timeout(5000));
      const { text, blocks } = JSON.parse(there.received[0]!.body);
      assert.match(text, /^Opened: \[critical\] long/);
      const [header, facts, link] = blocks;
      assert.ok(header.text.text.length <= 150);
      assert.ok(facts.text.text.length <= 3000);
      assert.match(facts.text.text, /triggered for &lt;!channel&gt; cpu_spike/);
      assert.equal(link.text.text, `<${notice.links.incident}|Open the incident>`);
    } finally {
      await there.close();
    }
  });
});
