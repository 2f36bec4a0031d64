import { z } from 'zod';
import type { NoticeDocument } from '../../domain/incidents/notice.ts';
import { cut, noticeLines, subjectOf } from '../../domain/incidents/notice-text.ts';
import { type Channel, type ChannelKind, FinalFailure, RetryableFailure } from './channel.ts';
import { channelName, webUrl } from './fields.ts';
import { postJson } from './http.ts';
import { redactor } from './redact.ts';

const schema = z.strictObject({ kind: z.literal('slack'), name: channelName, url: webUrl });

/**
 * Sends to a Slack incoming webhook. Success is 200 `ok`. Of the 4xx statuses, only 408 and 429 are tried
 * again.
 */
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

/**
 * With 12 lines the text stays below the 3,000 characters that Slack allows in a section, even if everything
 * must be escaped.
 */
const MOST_LINES = 12;
const LONGEST_NAME = 40;
const LONGEST_VALUE = 200;

function messageOf(notice: NoticeDocument) {
  const lines = noticeLines(notice)
    .slice(0, MOST_LINES)
    .map(([name, value]) => `*${cut(name, LONGEST_NAME, escaped)}:* ${cut(value, LONGEST_VALUE, escaped)}`);
  return {
    text: escaped(subjectOf(notice)),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: subjectOf(notice) } },
      { type: 'section', text: { type: 'mrkdwn', text: lines.join('\n') } },
      {
        type: 'section',
        text: { type: 'mrkdwn', text: `<${escaped(notice.links.incident)}|Open the incident>` },
      },
    ],
  };
}

/**
 * Escapes the three characters with a meaning in Slack's mrkdwn. Otherwise an event could mention @channel.
 */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
