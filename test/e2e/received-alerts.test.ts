import assert from 'node:assert/strict';
import { expectStatus } from '../support/load.ts';
import { waitFor } from '../support/wait-for.ts';
import { stage } from './stage.ts';

interface Incident {
  id: string;
  state: string;
  summary: string;
  severity: string;
  labels: Record<string, string>;
  acknowledged_by: string | null;
}

describe('alerts that other systems judged', function () {
  this.timeout(180_000);
  const there = stage(['api', 'rules', 'incidents', 'notify']);

  const incidents = async (summary: string): Promise<Incident[]> => {
    const { body } = await there.system.call<Incident[]>('GET', '/incidents?limit=100');
    return body.filter((incident) => incident.summary === summary);
  };
  const become = (summary: string, state: string) =>
    waitFor(
      async () => {
        const found = await incidents(summary);
        return found.length === 1 && found[0]!.state === state ? found[0]! : null;
      },
      { what: `one incident "${summary}" that is ${state}`, timeoutMs: 60_000 },
    );
  const told = (summary: string) => there.hook.received.filter(({ body }) => body.includes(summary)).length;

  it('open, refresh and resolve one incident when Prometheus sends them', async () => {
    const alert = (endsAt: number) => ({
      labels: { alertname: 'HighLoad', severity: 'critical', instance: 'web-1' },
      annotations: { summary: 'Load is high' },
      startsAt: new Date(Date.now() - 60_000).toISOString(),
      endsAt: new Date(endsAt).toISOString(),
    });
    const first = alert(Date.now() + 240_000);
    const post = (endsAt: number) =>
      expectStatus(
        200,
        there.system.call('POST', '/api/v2/alerts', [{ ...alert(endsAt), startsAt: first.startsAt }]),
      );
    await post(Date.now() + 240_000);
    const { id, severity, labels } = await become('Load is high', 'open');
    assert.equal(severity, 'critical');
    assert.equal(labels.instance, 'web-1');
    for (let i = 0; i < 10; i++) await post(Date.now() + 240_000 + i);
    await post(Date.now() - 1);
    assert.equal((await become('Load is high', 'resolved')).id, id);
    await waitFor(() => told('Load is high') >= 2, { what: 'people to be told of opening and end' });
    assert.equal(told('Load is high'), 2);
  });

  it('open one incident through PagerDuty’s API, and its acknowledge and resolve change that incident', async () => {
    const send = (event_action: string) =>
      expectStatus(
        202,
        there.system.call('POST', '/v2/enqueue', {
          routing_key: 'k'.repeat(32),
          event_action,
          dedup_key: 'disk/web-1',
          payload: { summary: 'Disk is full', source: 'web-1', severity: 'error' },
        }),
      );
    await Promise.all(Array.from({ length: 8 }, () => send('trigger')));
    const { id, severity } = await become('Disk is full', 'open');
    assert.equal(severity, 'high');
    await send('acknowledge');
    await become('Disk is full', 'acknowledged');
    await send('resolve');
    assert.equal((await become('Disk is full', 'resolved')).id, id);
  });
});
