import { z } from 'zod';
import type { NoticeDocument } from '../../domain/incidents/notice.ts';
import { cut, factsOf, subjectOf } from '../../domain/incidents/notice-text.ts';
import { type Channel, type ChannelKind, FinalFailure, RetryableFailure } from './channel.ts';
import { channelName, webUrl } from './fields.ts';
import { postJson } from './http.ts';
import { redactor } from './redact.ts';

const schema = z.strictObject({ kind: z.literal('slack'), name: channelName, url: webUrl });

/** A Slack incoming webhook. Success is 200 `ok`; of the 4xx only 408 and 429 may pass. */
function create({ name, url }: z.output<typeof schema>, clock: () => number): Channel {
  const redact = redactor([url]);
  return {
    name,
    kind: 'slack',
    async send(notice, signal) {
      const body = JSON.stringify(messageOf(notice));
      const answer = await postJson(url, body, { redact, signal, clock });
      if (answer.status === 200 && answer.body.trim() === 'ok') return { detail: answer.detail };
      const final = answer.status >= 400 && answer.status < 500 && ![408, 429].includes(answer.status);
      throw final
        ? new FinalFailure(answer.detail)
        : new RetryableFailure(answer.detail, answer.retryAfterMs);
    },
  };
}

export const slack = { kind: 'slack', schema, create } satisfies ChannelKind<typeof schema>;

/** 12 lines of these have less than a section's 3,000 characters, however much of them must be escaped. */
const MOST_FACTS = 12;
const LONGEST_NAME = 40;
const LONGEST_VALUE = 200;

function messageOf(notice: NoticeDocument) {
  const facts = factsOf(notice)
    .slice(0, MOST_FACTS)
    .map(([name, value]) => `*${cut(name, LONGEST_NAME, escaped)}:* ${cut(value, LONGEST_VALUE, escaped)}`);
  return {
    text: escaped(subjectOf(notice)),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: subjectOf(notice) } },
      { type: 'section', text: { type: 'mrkdwn', text: facts.join('\n') } },
      {
        type: 'section',
        text: { type: 'mrkdwn', text: `<${escaped(notice.links.incident)}|Open the incident>` },
      },
    ],
  };
}

/** The three characters with a meaning in Slack's mrkdwn: without it an event could mention @channel. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
