import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as limits from '../../../../api/http/limits.ts';
import { FORMATS } from '../../../../api/intake/formats/index.ts';
import { mappingIn } from '../../../../api/resources/mappings/schema.ts';
import { BUILT_IN } from '../../../../domain/events/mapping.ts';
import { eventInput } from '../../../../ingest/append/validate.ts';
import { fromCloudEvent } from '../../../../ingest/formats/cloudevents.ts';
import { fromPagerDuty, pagerdutyEvent } from '../../../../ingest/formats/pagerduty.ts';
import { severityOfNumber } from '../../../../ingest/formats/severity.ts';
import { rowsOf } from '../../../support/markdown.ts';

const text = readFileSync(join(import.meta.dirname, '../../../../docs/formats.md'), 'utf8');

const rows = rowsOf(text);

/** The other cells of the row whose first cell begins like this. */
function row(beginning: string): readonly string[] {
  const found = rows.find(({ first }) => first === beginning);
  assert.ok(found, `no row ${beginning}`);
  return found.rest;
}

const size = (bytes: number) =>
  bytes % 2 ** 30 === 0
    ? `${bytes / 2 ** 30} GiB`
    : bytes % 2 ** 20 === 0
      ? `${bytes / 2 ** 20} MiB`
      : `${bytes / 2 ** 10} KiB`;
const count = (n: number) => n.toLocaleString('en-US');

describe('docs/formats.md', () => {
  it('lists each format at its beginning, and nothing else', () => {
    const listed = text.slice(0, text.indexOf('## ')).matchAll(/^- \*\*(.*)\*\*$/gm);
    assert.deepEqual(
      [...listed].map(([, name]) => name),
      FORMATS.map(({ name }) => name),
    );
  });

  it('has the actual limits', () => {
    for (const [what, limit] of [
      ['JSON of one event', size(limits.EVENT_LIMIT)],
      [
        'an array of events, a CloudEvents batch, a list of alerts',
        `${size(limits.BATCH_BODY_LIMIT)}, ${count(limits.BATCH_LIMIT)} items`,
      ],
      ['an OTLP export', `${size(limits.EXPORT_BODY_LIMIT)}, ${count(limits.EXPORT_LIMIT)} records`],
      ['the number of objects and lists in a body that is parsed as a whole', count(limits.OBJECTS_LIMIT)],
      ['a stream of lines or records', size(limits.STREAM_LIMIT)],
      ['one line or record of a stream', size(limits.LINE_LIMIT)],
      ['a PagerDuty event', size(limits.PAGE_LIMIT)],
      ['a payload', `${size(limits.PAYLOAD_LENGTH)} as JSON, ${limits.PAYLOAD_DEPTH} levels deep`],
      [
        'any other body',
        `${size(limits.BODY_LIMIT)}, ${limits.BODY_DEPTH} levels deep, ${count(limits.BODY_VALUES)} values, ${count(limits.BODY_KEYS)} keys of an object`,
      ],
      [
        'all bodies together that one process holds in memory',
        `${size(limits.BUDGETS.events)} of events, ${size(limits.BUDGETS.alerts)} of alerts, ${size(limits.BUDGETS.control)} of all else`,
      ],
      ['all bodies together whose key a process does not know yet', size(limits.BUDGETS.strangers)],
      ['the window of a zstd body', size(2 ** limits.ZSTD_WINDOW_LOG)],
      [
        'how slowly a body may arrive',
        `pauses of ${limits.PATIENCE_MS / 1000} s, and at least ${count(limits.SLOWEST)} bytes a second`,
      ],
    ] as const) {
      assert.equal(row(what)[0], limit, what);
    }
  });

  it('has the paths of the built-in mappings', () => {
    for (const [field, name] of [
      ['source_id', 'source'],
      ['event_type', 'type'],
      ['severity', 'severity'],
      ['timestamp', 'time'],
    ] as const) {
      const paths = ['fluent-bit', 'vector', 'syslog-ng'].map((mapping) => BUILT_IN[mapping]![name]);
      assert.deepEqual(
        row(`\`${field}\``),
        paths.map((list) => list.map((path) => `\`${path}\``).join(', ')),
      );
    }
  });

  it('has OpenTelemetry’s severities', () => {
    const [given] = row('`severityNumber` 1–12, 13–16, 17–20, 21–24');
    const severities = [12, 16, 20, 24].map((number) => `\`${severityOfNumber(number)}\``);
    assert.ok(given!.startsWith(`becomes the \`severity\` ${severities.join(', ')}.`));
  });

  it('names an existing test for each requirement of the specifications', () => {
    const named = rows.flatMap(({ rest }) => {
      const [, file, title] = /^(test\/[\w./-]+\.test\.ts): (.+)$/.exec(rest.at(-1) ?? '') ?? [];
      return file && title ? [{ file, title }] : [];
    });
    assert.ok(named.length > 30);
    for (const { file, title } of named) {
      const tests = readFileSync(join(import.meta.dirname, '../../../..', file), 'utf8');
      assert.ok(tests.includes(title), `${file}: ${title}`);
    }
  });

  it('has valid examples', () => {
    const [, mapping] = /```json\n(.*?)```/s.exec(text)!;
    mappingIn.parse(JSON.parse(mapping!));
    const bodies = [...text.matchAll(/-d '(\{.*?\})'$/gms)].map(([, body]) => JSON.parse(body!));
    assert.equal(bodies.length, 2);
    eventInput.parse(bodies[0]);
    fromPagerDuty(pagerdutyEvent.parse(bodies[1]), 'key', 'disk/web-1', Date.now());
    const [, attributes] = /new CloudEvent\((\{.*?\})\)/s.exec(text)!;
    const json = attributes!.replaceAll(/(\w+):/g, '"$1":').replaceAll("'", '"');
    assert.ok('event' in fromCloudEvent({ ...JSON.parse(json), specversion: '1.0', id: '1' }));
  });
});
