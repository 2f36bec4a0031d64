import assert from 'node:assert/strict';
import fc from 'fast-check';
import { alertmanagerKey } from '../../../domain/received-alerts/key.ts';
import { fromPostableAlert, RESOLVE_TIMEOUT_MS } from '../../../ingest/formats/alertmanager.ts';
import { parseLabelFilter } from '../../../ingest/formats/label-filter.ts';

const NOW = Date.parse('2026-11-24T17:31:00Z');
const at = (ms: number) => new Date(ms).toISOString();

function mapped(changes: object) {
  const item = fromPostableAlert({ labels: { alertname: 'HighLoad' }, ...changes }, NOW);
  assert.ok('alert' in item, JSON.stringify(item));
  return item.alert;
}
function refused(raw: unknown) {
  const item = fromPostableAlert(raw, NOW);
  assert.ok('invalid' in item, JSON.stringify(item));
  return item.invalid[0]!.field;
}

describe('an alert as Prometheus posts it', () => {
  it('keeps its labels, its annotations and its times', () => {
    const labels = {
      alertname: 'HighLoad',
      instance: 'web-1:9100',
      severity: 'warning',
      'service.name': 'ä',
    };
    assert.deepEqual(
      mapped({
        labels,
        annotations: { summary: 'Load is high', runbook_url: 'https://example.com/load' },
        startsAt: at(NOW - 60_000),
        endsAt: at(NOW + 240_000),
        generatorURL: 'http://prometheus:9090/graph',
      }),
      {
        protocol: 'alertmanager',
        key: alertmanagerKey(labels),
        action: 'trigger',
        labels,
        annotations: { summary: 'Load is high', runbook_url: 'https://example.com/load' },
        severity: 'medium',
        summary: 'Load is high',
        generator_url: 'http://prometheus:9090/graph',
        starts_at: NOW - 60_000,
        ends_at: NOW + 240_000,
        ends_explicit: true,
      },
    );
  });

  it('drops labels and annotations without a value, which are not part of its identity', () => {
    const alert = mapped({ labels: { alertname: 'HighLoad', team: '' }, annotations: { summary: '' } });
    assert.deepEqual([alert.labels, alert.annotations], [{ alertname: 'HighLoad' }, {}]);
    assert.equal(alert.key, mapped({}).key);
    assert.equal(alert.summary, 'HighLoad');
  });

  it('starts now and lasts five minutes if it has no times, or those that Go writes for none', () => {
    for (const nothing of [undefined, null, '', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z']) {
      const { starts_at, ends_at, ends_explicit } = mapped({ startsAt: nothing, endsAt: nothing });
      assert.deepEqual([starts_at, ends_at, ends_explicit], [NOW, NOW + RESOLVE_TIMEOUT_MS, false]);
    }
  });

  it('with only an end started now, or at its end if that is past', () => {
    assert.equal(mapped({ endsAt: at(NOW + 5000) }).starts_at, NOW);
    assert.equal(mapped({ endsAt: at(NOW - 5000) }).starts_at, NOW - 5000);
  });

  it('is named by its labels if nothing else names it', () => {
    assert.equal(mapped({ labels: { job: 'a', instance: 'b' } }).summary, 'job=a, instance=b');
  });

  it('replaces a time that no incident can have by the nearest possible one', () => {
    const end = Date.parse('9999-12-31T23:59:59Z');
    for (const endsAt of ['9999-12-31T23:59:59.9999999Z', '9999-12-31T23:59:59-14:00']) {
      assert.equal(mapped({ endsAt }).ends_at, end);
    }
    const { starts_at, ends_at } = mapped({
      startsAt: '1899-12-31T00:00:00Z',
      endsAt: '1969-12-31T00:00:00Z',
    });
    assert.deepEqual([starts_at, ends_at], [0, 0]);
  });

  for (const [what, raw, field] of [
    ['no object', [], ''],
    ['no labels', {}, 'labels'],
    ['labels without values', { labels: { alertname: '' } }, 'labels'],
    ['a label that is no text', { labels: { alertname: 5 } }, 'labels'],
    ['a label without a name', { labels: { '': 'x' } }, 'labels'],
    ['annotations that are a list', { labels: { a: 'b' }, annotations: [] }, 'annotations'],
    ['a time that is none', { labels: { a: 'b' }, startsAt: 'yesterday' }, 'startsAt'],
    ['a date no calendar has', { labels: { a: 'b' }, endsAt: '2026-13-45T00:00:00Z' }, 'endsAt'],
    ['an end before its start', { labels: { a: 'b' }, startsAt: at(NOW), endsAt: at(NOW - 1) }, 'endsAt'],
    ['a link that is no text', { labels: { a: 'b' }, generatorURL: 5 }, 'generatorURL'],
  ] as const) {
    it(`is refused for ${what}`, () => assert.equal(refused(raw), field));
  }

  it('never throws, whatever it is', () => {
    fc.assert(fc.property(fc.jsonValue(), (raw) => void fromPostableAlert(raw, NOW)));
    const loose = fc.record(
      {
        labels: fc.jsonValue(),
        annotations: fc.jsonValue(),
        startsAt: fc.jsonValue(),
        endsAt: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(fc.property(loose, (raw) => void fromPostableAlert(raw, NOW)));
  });
});

describe('a filter of labels', () => {
  for (const [text, name, op, value] of [
    ['alertname="HighLoad"', 'alertname', '=', 'HighLoad'],
    ['alertname=HighLoad', 'alertname', '=', 'HighLoad'],
    [' severity =~ "critical|warning" ', 'severity', '=~', 'critical|warning'],
    ['a!~"b=c"', 'a', '!~', 'b=c'],
    ['a!=""', 'a', '!=', ''],
    ['a=', 'a', '=', ''],
    ['path=~"/v\\d+/a\\.b"', 'path', '=~', '/v\\d+/a\\.b'],
    ['"service.name"="a \\"b\\" \\\\ \\n"', 'service.name', '=', 'a "b" \\ \n'],
  ] as const) {
    it(`reads ${text}`, () => assert.deepEqual(parseLabelFilter(text), { name, op, value }));
  }
  for (const text of ['', 'alertname', '="x"', 'a="x', 'a="x"y', 'a,b="x"']) {
    it(`is refused: ${text || 'nothing'}`, () => assert.equal(parseLabelFilter(text), null));
  }
});
