import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { email } from '../../../activities/channels/email.ts';
import { sampleNotice } from './notice.ts';

const failure = (responseCode: number, message: string) =>
  Object.assign(new Error(message), { responseCode });

const OPENED = '6f0d0f4e-91b5-4a52-9d0a-3c2d51d4b8a1';
const RESOLVED = '6f0d0f4e-91b5-4a52-9d0a-3c2d51d4b8a2';

describe('an e-mail', () => {
  let server: SMTPServer | undefined;
  const mails: string[] = [];
  afterEach(async () => {
    await new Promise<void>((resolve) => (server ? server.close(resolve) : resolve()));
    server = undefined;
    mails.length = 0;
  });

  /** An SMTP server with the given behaviour, and its URL. */
  async function listen(options: SMTPServerOptions = {}, credentials = ''): Promise<string> {
    const one = new SMTPServer({
      disabledCommands: ['STARTTLS'],
      authOptional: credentials === '',
      allowInsecureAuth: true,
      closeTimeout: 100,
      onData(stream, _session, done) {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          mails.push(Buffer.concat(chunks).toString('utf8'));
          done();
        });
      },
      ...options,
    });
    one.on('error', () => {});
    await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
    server = one;
    return `smtp://${credentials}127.0.0.1:${(one.server.address() as AddressInfo).port}`;
  }

  const send = (smtp: string, kind: 'opened' | 'resolved' = 'opened', signal = AbortSignal.timeout(5000)) =>
    email
      .create({ kind: 'email', name: 'mail', smtp, from: 'tocsin@example.com', to: ['a@example.com'] })
      .send({ ...sampleNotice(kind), id: kind === 'opened' ? OPENED : RESOLVED }, signal);
  const header = (mail: string, name: string) =>
    new RegExp(`^${name}: (.*)$`, 'im').exec(mail.replace(/\r\n[ \t]+/g, ' '))?.[1]?.trim();

  it('says what happened in text and HTML, in one thread per incident, with the same id in retries', async () => {
    const url = await listen();
    await send(url);
    await send(url);
    await send(url, 'resolved');
    const [first, again, resolved] = mails as [string, string, string];
    assert.equal(header(first, 'Subject'), 'Opened: [critical] CPU <too> high & rising');
    assert.equal(header(first, 'Message-ID'), header(again, 'Message-ID'));
    assert.notEqual(header(first, 'Message-ID'), header(resolved, 'Message-ID'));
    assert.equal(header(first, 'References'), header(resolved, 'References'));
    assert.match(first, /text\/plain/);
    assert.match(first, /text\/html/);
    assert.match(first, /&#60;!channel&#62;/);
    assert.match(resolved, /by ada/);
  });

  it('keeps control characters out of its headers', async () => {
    const url = await listen();
    const notice = sampleNotice();
    notice.incident.rule_name = 'x\r\nBcc: everyone@example.com';
    const channel = email.create({
      kind: 'email',
      name: 'mail',
      smtp: url,
      from: 't@example.com',
      to: ['a@example.com'],
    });
    await channel.send(notice, AbortSignal.timeout(5000));
    assert.equal(header(mails[0]!, 'Bcc'), undefined);
    assert.equal(header(mails[0]!, 'Subject'), 'Opened: [critical] x Bcc: everyone@example.com');
  });

  it('is tried again after a 4xx', async () => {
    const url = await listen({ onRcptTo: (_address, _session, done) => done(failure(450, 'greylisted')) });
    await assert.rejects(send(url), { name: 'RetryableFailure', message: /450.*greylisted/ });
  });

  it('is given up after a 5xx', async () => {
    const url = await listen({ onRcptTo: (_address, _session, done) => done(failure(550, 'no such user')) });
    await assert.rejects(send(url), { name: 'FinalFailure', message: /550.*no such user/ });
  });

  it('is tried again for all recipients while one is refused temporarily, even if others were accepted or refused for good', async () => {
    const url = await listen({
      onRcptTo({ address }, _session, done) {
        const code = Number(address.slice(0, 3));
        done(code === 250 ? null : failure(code, 'not you'));
      },
    });
    const to = (...codes: number[]) =>
      email
        .create({
          kind: 'email',
          ...{ name: 'mail', smtp: url, from: 'tocsin@example.com' },
          to: codes.map((code) => `${code}@example.com`),
        })
        .send(sampleNotice(), AbortSignal.timeout(5000));
    await assert.rejects(to(250, 450), { name: 'RetryableFailure', message: /450@example\.com.*not you/ });
    await assert.rejects(to(450, 250, 550), { name: 'RetryableFailure' });
    await assert.rejects(to(450, 550), { name: 'RetryableFailure' });
    await assert.rejects(to(551, 550), { name: 'FinalFailure' });
    assert.match((await to(250, 550)).detail, /, but refused 550@example\.com$/);
  });

  it('authenticates, and never shows the password', async () => {
    const credentials = 'tocsin:sesame-open@';
    const url = await listen(
      { onAuth: ({ password }, _session, done) => done(failure(535, `not with ${password}`)) },
      credentials,
    );
    await assert.rejects(send(url), { name: 'FinalFailure', message: /535.*not with <redacted>/ });
  });

  it('is tried again if nobody listens or answers', async () => {
    await assert.rejects(send('smtp://127.0.0.1:1'), { name: 'RetryableFailure', message: /ECONNREFUSED/ });
    const url = await listen({ onConnect: () => {} });
    const silent = send(url, 'opened', AbortSignal.timeout(100));
    await assert.rejects(silent, { name: 'RetryableFailure', message: 'no answer in time' });
  });
});
