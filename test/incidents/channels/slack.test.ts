import assert from 'node:assert/strict';
import { slack } from '../../../activities/channels/slack.ts';
import { sampleNotice } from './notice.ts';
import { receiver } from './receiver.ts';

describe('a Slack message', () => {
  it('is cut between visible characters, never within an entity', async () => {
    const there = await receiver(() => ({ body: 'ok' }));
    try {
      const family = '👩‍👩‍👧‍👦';
      for (let shift = 0; shift < 12; shift++) {
        const notice = sampleNotice();
        notice.incident.rule_name = 'x'.repeat(shift) + family.repeat(30);
        notice.incident.annotations = Object.fromEntries(
          ['<', family, 'e\u0301', 'a&b'].map((text, i) => [
            `${family.repeat(5)}${i}`,
            'x'.repeat(shift) + text.repeat(300),
          ]),
        );
        await slack
          .create({ kind: 'slack', name: 'chat', url: there.url }, Date.now)
          .send(notice, AbortSignal.timeout(5000));
        const { blocks } = JSON.parse(there.received.at(-1)!.body);
        const header: string = blocks[0].text.text;
        const facts: string = blocks[1].text.text;
        assert.ok(header.length <= 150 && facts.length <= 3000);
        for (const text of [header, facts]) assert.ok(text.isWellFormed());
        assert.doesNotMatch(facts, /&(?!(?:amp|lt|gt);)/, 'an entity is whole');
        assert.doesNotMatch(header.replaceAll(family, ''), /[👩👧👦\u200d]/u, 'a family stays together');
        assert.doesNotMatch(facts.replaceAll('e\u0301', ''), /e…/, 'an accent stays on its letter');
      }
    } finally {
      await there.close();
    }
  });

  it('has text and blocks within the limits, and nothing in an event works as markup', async () => {
    const there = await receiver(() => ({ body: 'ok' }));
    try {
      const notice = sampleNotice();
      const annotations = Object.fromEntries(
        Array.from({ length: 50 }, (_, i) => [`a${i}`, '&'.repeat(500)]),
      );
      notice.incident.annotations = { ...notice.incident.annotations, ...annotations };
      notice.incident.rule_name = 'long '.repeat(40);
      await slack
        .create({ kind: 'slack', name: 'chat', url: there.url }, Date.now)
        .send(notice, AbortSignal.timeout(5000));
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
