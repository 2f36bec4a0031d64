import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { steadyPort } from '../../../support/ports.ts';
import { temporaryDirectory } from '../../../support/temporary.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { type Answer, type Stage, stage } from '../../stage.ts';

/** The time of the records that shippers send in these tests, in seconds. */
const SECONDS = Math.floor(Date.now() / 1000) - 60;
const ISO = new Date(SECONDS * 1000).toISOString();
/** The same time in the form of RFC 3164, which syslog-ng reads: local time without a year. */
const LOCAL = new Date(SECONDS * 1000)
  .toString()
  .replace(
    /^\w+ (\w+) 0?(\d+) \d+ (\S+) .*$/,
    (_, month, day, time) => `${month} ${day.padStart(2)} ${time}`,
  );

/** Says whether syslog-ng is installed and can send over HTTP. */
function hasSyslogNg(): boolean {
  try {
    return execFileSync('syslog-ng', ['--module-registry'], { stdio: 'pipe' }).includes('Module: http\n');
  } catch {
    return false;
  }
}

const counts = ({ body: { stored, duplicate, invalid } }: Answer) => ({ stored, duplicate, invalid });
const JSON_TYPE = { 'content-type': 'application/json' };

describe('POST /ingest/json/{mapping}', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());
  beforeEach(() => api.query('truncate events, event_ids, event_rollups'));

  const send = (mapping: string, body: unknown, headers: Record<string, string> = JSON_TYPE) =>
    api.call('POST', `/ingest/json/${mapping}`, body, headers);
  const stored = () =>
    api.query<{ source_id: string; severity: string; event_type: string; at: string; text: string }>(
      `select source_id, severity, event_type, to_char(occurred_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at,
         coalesce(payload->>'log', payload->>'message', payload->>'MESSAGE') as text
       from events order by occurred_at, text`,
    );

  describe('from Fluent Bit’s out_http', () => {
    const records = [1, 2, 3].map((n) => ({
      ...{ date: SECONDS + n / 10, log: `line ${n}`, level: 'warn', host: 'web-17' },
    }));
    const texts = records.map((record) => JSON.stringify(record));
    const BODIES = {
      json: { body: `[${texts.join(',')}]`, headers: JSON_TYPE },
      json_lines: { body: texts.map((text) => `${text}\n`).join(''), headers: JSON_TYPE },
      json_stream: { body: texts.join(''), headers: JSON_TYPE },
      'json_lines, gzipped': {
        body: gzipSync(texts.join('\n')),
        headers: { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' },
      },
    };
    for (const [format, { body, headers }] of Object.entries(BODIES)) {
      it(`accepts format ${format}`, async () => {
        const answer = await send('fluent-bit', body, headers);
        assert.equal(answer.status, 200);
        assert.deepEqual(counts(answer), { stored: 3, duplicate: 0, invalid: 0 });
        const [first, , third] = await stored();
        assert.deepEqual(first, {
          ...{ source_id: 'web-17', severity: 'medium', event_type: 'log', text: 'line 1' },
          at: new Date(SECONDS * 1000 + 100).toISOString(),
        });
        assert.equal(third!.text, 'line 3');
      });
    }
  });

  it('accepts what Vector’s http sink sends: NDJSON or an array, zstd', async () => {
    const record = {
      host: 'web-17',
      message: 'one',
      source_type: 'file',
      timestamp: ISO.replace('Z', '456Z'),
    };
    const lines = `${JSON.stringify(record)}\n${JSON.stringify({ ...record, message: 'two' })}\n`;
    const ndjson = { 'content-type': 'application/x-ndjson' };
    assert.deepEqual(counts(await send('vector', lines, ndjson)), { stored: 2, duplicate: 0, invalid: 0 });
    const array = zstdCompressSync(JSON.stringify([{ ...record, message: 'three' }]));
    await send('vector', array, { ...JSON_TYPE, 'content-encoding': 'zstd' });
    assert.deepEqual(
      (await stored()).map(({ text, source_id, event_type, at }) => [text, source_id, event_type, at]),
      ['one', 'three', 'two'].map((text) => [text, 'web-17', 'file', ISO]),
    );
  });

  it('accepts what syslog-ng’s http() sends, whatever its media type', async () => {
    const record = { PRIORITY: 'err', HOST: 'web-17', PROGRAM: 'sshd', MESSAGE: 'boom', ISODATE: ISO };
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const text = JSON.stringify(record);
    assert.deepEqual(counts(await send('syslog-ng', text, form)), { stored: 1, duplicate: 0, invalid: 0 });
    await send('syslog-ng', `${text}\n${text}`, { 'content-type': 'text/plain' });
    await send('syslog-ng', `[${text},${text}]`, form);
    const events = await stored();
    // Two equal lines are two events.
    assert.equal(events.length, 5);
    assert.deepEqual(events[0], {
      ...{ source_id: 'web-17', severity: 'high', event_type: 'sshd', text: 'boom', at: ISO },
    });
  });

  it('accepts NDJSON from curl', async () => {
    const line = JSON.stringify({ log: 'by curl', date: SECONDS });
    const answer = await new Promise<string>((resolve, reject) => {
      const url = `${api.url}/ingest/json/fluent-bit`;
      const type = 'content-type: application/x-ndjson';
      const given = ['-sS', '--max-time', '60', '--data-binary', '@-', '-H', type, url];
      const curl = execFile('curl', given, (error, stdout) => (error ? reject(error) : resolve(stdout)));
      curl.stdin!.end(`${line}\n${line}\n`);
    });
    assert.equal(JSON.parse(answer).stored, 2);
  });

  it('accepts what a running syslog-ng sends', async function () {
    if (!hasSyslogNg()) this.skip();
    const port = await steadyPort();
    const folder = temporaryDirectory();
    writeFileSync(
      join(folder, 'syslog-ng.conf'),
      `@version: 3.38
      source in { network(ip("127.0.0.1") port(${port}) transport("tcp")); };
      destination tocsin {
        http(
          url("${api.url}/ingest/json/syslog-ng") method("POST") headers("Content-Type: application/x-ndjson")
          batch-lines(100) batch-timeout(200) body("$(format-json --scope rfc5424 --key ISODATE)")
        );
      };
      log { source(in); destination(tocsin); };`,
    );
    const files = { f: 'syslog-ng.conf', R: 'persist', c: 'control', p: 'pid' };
    const given = Object.entries(files).flatMap(([option, name]) => [`-${option}`, join(folder, name)]);
    const syslogNg = spawn('syslog-ng', ['-F', '--no-caps', ...given], { stdio: 'ignore' });
    try {
      const lines = `<27>${LOCAL} web-17 sshd[17]: refused\n<30>${LOCAL} web-17 cron[5]: done\n`;
      const sent = () =>
        new Promise<boolean>((resolve) => {
          const socket = connect(port, '127.0.0.1', () => socket.end(lines));
          socket.on('close', (failed) => resolve(!failed)).on('error', () => {});
        });
      await waitFor(sent, { what: 'syslog-ng to listen' });
      const events = await waitFor(
        async () => {
          const found = await stored();
          return found.length >= 2 ? found : null;
        },
        { what: 'what syslog-ng sent' },
      );
      assert.deepEqual(
        events.map(({ event_type, severity, text }) => [event_type, severity, text]),
        [
          ['cron', 'info', 'done'],
          ['sshd', 'high', 'refused'],
        ],
      );
    } finally {
      syslogNg.kill();
      await once(syslogNg, 'exit');
    }
  });

  it('stores the valid records of a body with invalid ones, and lists those by position', async () => {
    const answer = await send('vector', '[{"message":"a"}, 5, {"timestamp":"never"}, {"message":"b"}]');
    assert.deepEqual(counts(answer), { stored: 2, duplicate: 0, invalid: 2 });
    assert.deepEqual(
      answer.body.results.map(({ index }: { index: number }) => index),
      [1, 2],
    );
    const concatenated = await send('vector', '{"message":"c"}{"a":}{"message":"d"}');
    assert.deepEqual(counts(concatenated), { stored: 2, duplicate: 0, invalid: 1 });
    assert.match(concatenated.body.results[0].errors[0].reason, /the item is not JSON/);
  });

  it('fails if no record can be stored, and accepts an empty body', async () => {
    assert.equal((await send('vector', '5')).status, 422);
    assert.equal((await send('vector', 'message=a&level=b')).status, 422);
    assert.deepEqual(counts(await send('vector', '')), { stored: 0, duplicate: 0, invalid: 0 });
  });

  it('stores a body once that is repeated with its Idempotency-Key', async () => {
    const headers = { ...JSON_TYPE, 'idempotency-key': 'chunk-17' };
    const body = JSON.stringify([
      { log: 'a', date: SECONDS },
      { log: 'a', date: SECONDS },
    ]);
    await send('fluent-bit', body, headers);
    assert.deepEqual(counts(await send('fluent-bit', body, headers)), {
      stored: 2,
      duplicate: 0,
      invalid: 0,
    });
    assert.equal((await stored()).length, 2);
  });

  it('answers 404 for an unknown mapping', async () => {
    assert.equal((await send('nobody', '{}')).status, 404);
    assert.equal((await send('__proto__', '{}')).status, 404);
    assert.equal((await send('constructor', '{}')).status, 404);
  });

  describe('with dry_run=true', () => {
    it('shows the events that the records would become, and stores nothing', async () => {
      const body = `{"log":"a","level":"fatal","host":"web-17","date":${SECONDS}} 7 {"date":"never"}`;
      const answer = await send('fluent-bit?dry_run=true', body);
      assert.equal(answer.status, 200);
      const [event, number, time] = answer.body.results;
      assert.equal(event.index, 0);
      assert.deepEqual([event.event.source_id, event.event.severity], ['web-17', 'critical']);
      assert.equal(Date.parse(event.event.timestamp), SECONDS * 1000);
      assert.deepEqual(number, { index: 1, errors: [{ field: '', reason: 'must be an object' }] });
      assert.equal(time.errors[0].field, 'timestamp');
      assert.deepEqual(await stored(), []);
    });

    it('shows the first 100', async () => {
      const { body } = await send('vector?dry_run=true', '{"message":"a"}'.repeat(150));
      assert.equal(body.results.length, 100);
    });
  });
});
