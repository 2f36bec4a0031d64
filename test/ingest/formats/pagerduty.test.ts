import assert from 'node:assert/strict';
import { NEVER } from '../../../domain/received-alerts/alert.ts';
import { fromPagerDuty, pagerdutyEvent } from '../../../ingest/formats/pagerduty.ts';

const NOW = Date.parse('2026-11-24T17:31:00Z');
const trigger = {
  routing_key: 'k'.repeat(32),
  event_action: 'trigger',
  dedup_key: 'disk/web-1',
  payload: { summary: 'Disk is full', source: 'web-1', severity: 'critical' },
};
const mapped = (event: object) => fromPagerDuty(pagerdutyEvent.parse(event), 'key-id', 'disk/web-1', NOW);

describe('a PagerDuty event as a received alert', () => {
  it('triggers with all its details, until somebody resolves it', () => {
    const payload = {
      ...trigger.payload,
      timestamp: '2026-11-24T17:30:00.000+00:00',
      component: 'disk',
      group: 'web',
      class: 'full',
      custom_details: { free: 0.01, path: '/var', nested: { a: 1 } },
    };
    const links = [{ href: 'https://example.com', text: 'graph' }];
    assert.deepEqual(mapped({ ...trigger, payload, links, client: 'nagios', images: [{ src: 'x' }] }), {
      protocol: 'pagerduty',
      key: 'key-id/disk/web-1',
      action: 'trigger',
      labels: { source: 'web-1', component: 'disk', group: 'web', class: 'full' },
      annotations: { free: '0.01', path: '/var', nested: '{"a":1}', client: 'nagios' },
      severity: 'critical',
      summary: 'Disk is full',
      generator_url: 'https://example.com',
      starts_at: NOW - 60_000,
      ends_at: NEVER,
      ends_explicit: false,
    });
  });

  it('has one of Tocsin’s severities for each of PagerDuty’s', () => {
    const severities = ['critical', 'error', 'warning', 'info'].map(
      (severity) => mapped({ ...trigger, payload: { ...trigger.payload, severity } }).severity,
    );
    assert.deepEqual(severities, ['critical', 'high', 'medium', 'info']);
  });

  it('is acknowledged and resolved now, by its key', () => {
    for (const event_action of ['acknowledge', 'resolve']) {
      const alert = mapped({ ...trigger, event_action, payload: undefined });
      assert.deepEqual([alert.action, alert.key, alert.ends_at], [event_action, 'key-id/disk/web-1', NOW]);
    }
  });

  it('happened at its timestamp, also in the form of PagerDuty’s documentation, in UTC without a zone', () => {
    const at = (timestamp: string) =>
      mapped({ ...trigger, payload: { ...trigger.payload, timestamp } }).starts_at;
    assert.equal(at('2015-07-17T08:42:58.315+0000'), Date.UTC(2015, 6, 17, 8, 42, 58, 315));
    assert.equal(at('2015-07-17T08:42:58.315-0130'), Date.UTC(2015, 6, 17, 10, 12, 58, 315));
    assert.equal(at('2015-07-17 08:42:58'), Date.UTC(2015, 6, 17, 8, 42, 58));
  });

  it('keeps details that are not an object', () => {
    const details = (custom_details: unknown) =>
      mapped({ ...trigger, payload: { ...trigger.payload, custom_details } }).annotations;
    assert.deepEqual(details('a text'), { custom_details: 'a text' });
    assert.deepEqual(details([1]), { custom_details: '[1]' });
    assert.deepEqual(details(null), {});
  });

  it('is not refused for a detail: a long summary is cut, an invalid time becomes now, an empty dedup_key counts as absent', () => {
    const long = mapped({ ...trigger, payload: { ...trigger.payload, summary: 'x'.repeat(3000) } });
    assert.equal(long.summary.length, 1024);
    assert.match(long.summary, /^x+… \[cut from 3000 characters\]$/);
    for (const timestamp of ['now', '', null, 5e300, {}, '9999-99-99', '1969-01-01T00:00:00Z']) {
      assert.equal(mapped({ ...trigger, payload: { ...trigger.payload, timestamp } }).starts_at, NOW);
    }
    assert.equal(pagerdutyEvent.parse({ ...trigger, dedup_key: '' }).dedup_key, undefined);
    const links = [{ text: 'no address' }, {}];
    assert.equal(mapped({ ...trigger, links }).generator_url, null);
    for (const wrong of ['https://example.com', ['https://example.com'], [{ href: 5 }], 7]) {
      assert.equal(mapped({ ...trigger, links: wrong, client: 7, client_url: [] }).generator_url, null);
    }
    const odd = { ...trigger.payload, component: 5, group: ['web'], class: {} };
    assert.deepEqual(mapped({ ...trigger, payload: odd }).labels, { source: trigger.payload.source });
  });

  it('distinguishes keys that are too long, equally for a trigger and its resolve', () => {
    const key = (dedup_key: string, event_action = 'trigger') =>
      pagerdutyEvent.parse({ ...trigger, event_action, dedup_key }).dedup_key;
    const long = 'x'.repeat(300);
    assert.equal(key(long)!.length, 255);
    assert.equal(key(long), key(long, 'resolve'));
    assert.notEqual(key(`${long}a`), key(`${long}b`));
    assert.equal(key(key(long)!), key(long));
  });

  for (const [what, changes] of [
    ['another action', { event_action: 'explode' }],
    ['no payload', { payload: undefined }],
    ['no summary', { payload: { ...trigger.payload, summary: '' } }],
    ['another severity', { payload: { ...trigger.payload, severity: 'fatal' } }],
    ['a resolve of nothing', { event_action: 'resolve', dedup_key: undefined }],
    ['a resolve of an empty key', { event_action: 'resolve', dedup_key: '' }],
    ['no routing_key', { routing_key: undefined }],
  ] as const) {
    it(`is refused for ${what}`, () => {
      assert.equal(pagerdutyEvent.safeParse({ ...trigger, ...changes }).success, false);
    });
  }
});
