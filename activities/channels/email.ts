import { createTransport } from 'nodemailer';
import { z } from 'zod';
import type { NoticeDocument } from '../../domain/incidents/notice.ts';
import { cut, noticeLines, subjectOf, textOf } from '../../domain/incidents/notice-text.ts';
import { within } from '../../process/within.ts';
import {
  type Channel,
  type ChannelKind,
  FinalFailure,
  messageId,
  noAnswer,
  RetryableFailure,
} from './channel.ts';
import { channelName, urlWith } from './fields.ts';
import { redactor } from './redact.ts';

const schema = z.strictObject({
  kind: z.literal('email'),
  name: channelName,
  /** The form of the URL: smtp://user:password@host:port */
  smtp: urlWith(/^smtps?$/),
  from: z.string().min(3),
  to: z.array(z.email()).min(1),
});

/** The longest silence of the SMTP server, in milliseconds. It ends connections soon after their attempt. */
const SILENCE_MS = 15_000;

/**
 * Sends mail by SMTP. A 5xx answer is final; after any other error the mail is tried again (RFC 5321, 4.2.1).
 * Retries have the same `Message-ID`. All mails of an incident refer to one id, so that mail programs show
 * them as a thread. If some recipients are refused temporarily, the retry goes to all recipients, with the
 * same id: mail programs show it once, and a mail that arrives twice is better than one that is missing.
 * Recipients that are refused for good are named in the result.
 */
function create({ name, smtp, from, to }: z.output<typeof schema>): Channel {
  const redact = redactor([smtp]);
  const transport = createTransport({
    url: smtp,
    connectionTimeout: SILENCE_MS,
    greetingTimeout: SILENCE_MS,
    socketTimeout: SILENCE_MS,
  });
  return {
    name,
    kind: 'email',
    async send(notice, signal) {
      try {
        const sending = transport.sendMail({
          from,
          to: [...to],
          subject: subjectOf(notice),
          text: textOf(notice),
          html: htmlOf(notice),
          messageId: `<${messageId(notice.id, name)}@tocsin>`,
          references: `<incident-${notice.incident.id}@tocsin>`,
        });
        const { response, rejected, rejectedErrors = [] } = await within(signal, sending, noAnswer);
        const passing = rejectedErrors.find(({ responseCode = 0 }) => responseCode < 500);
        if (passing) throw new RetryableFailure(cut(redact(`${passing.recipient}: ${passing.message}`), 300));
        const refused = rejected.length > 0 ? `, but refused ${rejected.join(', ')}` : '';
        return { detail: cut(redact(`${response}${refused}`), 300) };
      } catch (error) {
        if (error instanceof RetryableFailure) throw error;
        const { message, responseCode } = error as Error & { responseCode?: number };
        const detail = cut(redact(message), 300);
        throw responseCode !== undefined && responseCode >= 500
          ? new FinalFailure(detail)
          : new RetryableFailure(detail);
      }
    },
  };
}

export const email = { kind: 'email', schema, create } satisfies ChannelKind<typeof schema>;

function htmlOf(notice: NoticeDocument): string {
  const rows = noticeLines(notice).map(
    ([name, value]) => `<tr><th align="left">${escaped(name)}</th><td>${escaped(value)}</td></tr>`,
  );
  const link = escaped(notice.links.incident);
  return `<h3>${escaped(subjectOf(notice))}</h3><table>${rows.join('')}</table><p><a href="${link}">${link}</a></p>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
