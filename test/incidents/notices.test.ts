import assert from 'node:assert/strict';
import { keepHistory } from '../support/histories.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Receiver, receiver } from './channels/receiver.ts';
import { type Stage, stage } from './stage.ts';

describe('notices of an incident', () => {
  let there: Stage;
  let hook: Receiver;
  afterEach(async () => {
    await there.close();
    await hook?.close();
  });

  const kinds = () => hook.received.map(({ body }) => JSON.parse(body).kind);

  it('are delivered once each, opened before resolved, with a row per attempt and links to the API', async () => {
    hook = await receiver();
    there = await stage({ channels: [{ kind: 'webhook', name: 'ops', url: hook.url, secrets: [] }] });
    const id = await there.open();
    const handle = await there.signal(id);
    await there.allDone(id, 1);
    await there.recover(id);
    await there.signal(id);
    await handle.result();

    assert.deepEqual(kinds(), ['opened', 'resolved']);
    const document = JSON.parse(hook.received[0]!.body);
    assert.equal(document.links.incident, `http://tocsin.test/incidents/${id}`);
    assert.equal(document.incident.severity, 'critical');
    assert.equal(document.incident.metadata.observed_count, 5);
    const rows = await there.deliveries(id);
    assert.deepEqual(
      rows.map(({ attempt, channel, outcome }) => [channel, attempt, outcome]),
      [
        ['ops', 1, 'sent'],
        ['ops', 1, 'sent'],
      ],
    );
    const kindsOfTimeline = (await there.timeline(id)).map(({ kind }) => kind);
    assert.deepEqual(kindsOfTimeline, ['opened', 'notice_sent', 'resolved', 'notice_sent']);
    await keepHistory(handle, 'incident-opened-resolved');
  });

  it('are both delivered, in order, if the incident is over before its workflow starts', async () => {
    hook = await receiver();
    there = await stage({ channels: [{ kind: 'webhook', name: 'ops', url: hook.url, secrets: [] }] });
    const id = await there.open();
    await there.recover(id);
    await (await there.signal(id)).result();
    assert.deepEqual(kinds(), ['opened', 'resolved']);
  });

  it('continue when the incident reopens after its workflow had ended', async () => {
    hook = await receiver();
    there = await stage({ channels: [{ kind: 'webhook', name: 'ops', url: hook.url, secrets: [] }] });
    const id = await there.open();
    await there.recover(id);
    await (await there.signal(id)).result();
    await there.reopen(id);
    const again = await there.signal(id);
    await there.allDone(id, 3);
    await there.recover(id);
    await there.signal(id);
    await again.result();
    assert.deepEqual(kinds(), ['opened', 'resolved', 'reopened', 'resolved']);
  });

  it('are tried until the receiver is back, with the same id, while later ones wait', async () => {
    hook = await receiver((_request, number) => ({ status: number < 3 ? 503 : 200 }));
    const channels = [{ kind: 'webhook' as const, name: 'ops', url: hook.url, secrets: [] }];
    there = await stage({ channels, scheduleMs: [50, 50, 50, 50] });
    const id = await there.open();
    await there.recover(id);
    const handle = await there.signal(id);
    await handle.result();
    assert.deepEqual(kinds(), ['opened', 'opened', 'opened', 'opened', 'resolved']);
    assert.equal(new Set(hook.received.map(({ headers }) => headers['webhook-id'])).size, 2);
    const outcomes = (await there.deliveries(id)).map(({ attempt, outcome }) => `${attempt} ${outcome}`);
    assert.deepEqual(outcomes, ['1 retry', '2 retry', '3 retry', '4 sent', '1 sent']);
    await keepHistory(handle, 'incident-retried');
  });

  it('are given up after the last attempt or a final refusal, and the timeline says so', async () => {
    hook = await receiver(({ body }) => ({ status: JSON.parse(body).kind === 'opened' ? 500 : 410 }));
    there = await stage({ channels: [{ kind: 'webhook', name: 'ops', url: hook.url, secrets: [] }] });
    const id = await there.open();
    await there.recover(id);
    await (await there.signal(id)).result();
    assert.deepEqual(kinds(), ['opened', 'opened', 'opened', 'resolved']);
    const failed = (await there.timeline(id)).filter(({ kind }) => kind === 'notice_failed');
    assert.deepEqual(
      failed.map(({ detail }) => [detail.notice, detail.attempts]),
      [
        ['opened', 3],
        ['resolved', 1],
      ],
    );
    const outcomes = (await there.deliveries(id)).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ['retry', 'retry', 'failed', 'failed']);
    assert.equal(
      (await there.notices(id)).every(({ done }) => done),
      true,
    );
  });

  it('reach one channel while another is stuck', async () => {
    hook = await receiver(({ headers }) => ({ hang: headers['x-never'] === 'set', status: 200 }));
    const stuck = await receiver(() => ({ status: 500 }));
    const channels = [
      { kind: 'webhook' as const, name: 'stuck', url: stuck.url, secrets: [] },
      { kind: 'webhook' as const, name: 'ops', url: hook.url, secrets: [] },
    ];
    there = await stage({ channels, scheduleMs: [3_600_000] });
    const id = await there.open();
    await there.recover(id);
    const handle = await there.signal(id);
    await waitFor(() => hook.received.length === 2 && stuck.received.length > 0, {
      what: 'both notices, and a try at the stuck channel',
    });
    assert.equal(stuck.received.length, 1);
    await handle.terminate();
    await stuck.close();
  });

  it('reach nobody without a channel, and the timeline and the log say so once', async () => {
    there = await stage({ channels: [] });
    const id = await there.open();
    const handle = await there.signal(id);
    await there.allDone(id, 1);
    await there.signal(id);
    await there.recover(id);
    await there.signal(id);
    await handle.result();
    const nobody = (await there.timeline(id)).filter(({ kind }) => kind === 'notified_nobody');
    assert.deepEqual(
      nobody.map(({ detail }) => detail.notice),
      ['opened', 'resolved'],
    );
    assert.equal(there.logged.filter(({ msg }) => String(msg).startsWith('nobody was notified')).length, 2);
    await keepHistory(handle, 'incident-notified-nobody');
  });
});
