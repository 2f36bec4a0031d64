import type { NoticeDocument } from '../../domain/notice.ts';
import { cut, factsOf, subjectOf } from '../../domain/notice-text.ts';
import { type Channel, FinalFailure, RetryableFailure } from './channel.ts';
import { postJson } from './http.ts';
import { redactor } from './redact.ts';

/** Slack refuses a section of more than 3,000 characters. */
const LONGEST_SECTION = 3000;

/** A Slack incoming webhook. Success is 200 `ok`; of the 4xx only 408 and 429 may pass. */
export function slackChannel({ name, url }: { name: string; url: string }, clock: () => number): Channel {
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

function messageOf(notice: NoticeDocument) {
  const facts = factsOf(notice)
    .slice(0, 12)
    .map(([name, value]) => `*${escaped(cut(name, 40))}:* ${escaped(cut(value, 200))}`);
  return {
    text: escaped(subjectOf(notice)),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: subjectOf(notice) } },
      { type: 'section', text: { type: 'mrkdwn', text: facts.join('\n').slice(0, LONGEST_SECTION) } },
      { type: 'section', text: { type: 'mrkdwn', text: `<${notice.links.incident}|Open the incident>` } },
    ],
  };
}

/** The three characters with a meaning in Slack's mrkdwn: without it an event could mention @channel. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
