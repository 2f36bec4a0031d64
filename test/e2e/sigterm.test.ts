import assert from 'node:assert/strict';
import { eventAt, makeProducers, makeRule, pauseProducers, sendBurst, statusOf } from '../support/load.ts';
import { ROLES, type System } from '../support/system.ts';
import { waitFor } from '../support/wait-for.ts';
import { gatedReceiver } from './gated-receiver.ts';
import { assertExact, assertGapless, incidentsOf, messagesByNotice, settled } from './record.ts';
import { stage } from './stage.ts';
import { whileWaiting } from './while-waiting.ts';

const SENDERS = 16;
/** The longest time that a process may take to stop, in milliseconds. */
const DRAIN_MS = 20_000;

const burst = {
  every_seconds: 6,
  length_seconds: 2,
  factor: 10,
  event_type: 'overload',
  severity: 'critical',
};
const producers = Array.from({ length: 7 }, (_, i) => ({
  id: `source-${i + 1}`,
  settings: { rate_per_second: 6, tick_ms: 500, seed: i, ...(i < 3 ? { burst } : {}) },
}));

type Ending = Awaited<ReturnType<System['terminate']>>;

async function assertOrderly(ending: Ending | undefined): Promise<void> {
  const { ms, ...exit } = await ending!.exited;
  assert.deepEqual(exit, { code: 0, signal: null });
  assert.ok(ms < DRAIN_MS, `took ${ms} ms`);
}

describe('SIGTERM during full operation', function () {
  this.timeout(240_000);
  const there = stage(ROLES, gatedReceiver);

  it('lets the API answer all earlier requests, and what it answered is stored', async () => {
    const { system } = there;
    const accepted: { sender: number; id: string; at: number }[] = [];
    let made = 0;
    /** Sends until the API refuses connections. */
    const send = async (sender: number): Promise<void> => {
      for (;;) {
        const event = eventAt('accepted', Date.now(), made++);
        const answer = await system.call('POST', '/internal/events', event).catch(() => undefined);
        if (!answer) return;
        assert.ok([201, 503].includes(answer.status), `answered ${answer.status}`);
        if (answer.status === 201) accepted.push({ sender, id: event.event_id, at: Date.now() });
      }
    };
    const senders = Array.from({ length: SENDERS }, (_, i) => i);
    const sending = Promise.all(senders.map(send));
    let ending: Ending | undefined;
    let toldAt = 0;
    await whileWaiting(system, { table: 'events', transactions: 2 }, async () => {
      await waitFor(
        async () => {
          const [api] = await system.query<{ buffered: number }>(
            `select buffered from processes where role = 'api'`,
          );
          return api!.buffered === SENDERS;
        },
        { what: 'every sender to wait for its answer' },
      );
      toldAt = Date.now();
      ending = await system.terminate('api');
      await waitFor(
        () =>
          fetch(`${system.url}/health`).then(
            () => false,
            () => true,
          ),
        {
          what: 'the API to take no more connections',
        },
      );
    });
    await sending;
    await assertOrderly(ending);
    for (const sender of senders) {
      assert.ok(
        accepted.some((one) => one.sender === sender && one.at >= toldAt),
        `sender ${sender}`,
      );
    }
    const stored = await system.query<{ event_id: string }>(
      `select event_id from events where event_type = 'accepted'`,
    );
    const ids = new Set(stored.map(({ event_id }) => event_id));
    assert.deepEqual(
      accepted.filter(({ id }) => !ids.has(id)),
      [],
    );
    await system.start('api');
  });

  it('lets every worker finish its work, and nothing is lost or done twice', async () => {
    const { system, hook } = there;
    const rule = await makeRule(system, {
      ...{ name: 'Overload of one source', event_type: 'overload', group_by: ['source_id'] },
      ...{ threshold_count: 30, window_seconds: 3 },
    });
    await makeProducers(system, producers);
    let ending: Ending | undefined;
    let release = () => {};
    /** Opens an incident whose notice is held back. */
    const tell = async (type: string) => {
      release = hook.hold();
      const own = await makeRule(system, {
        name: type,
        event_type: type,
        threshold_count: 1,
        window_seconds: 1,
      });
      await sendBurst(system, type, [Date.now()], 1);
      return own;
    };

    await whileWaiting(system, { table: 'events', transactions: 1 }, async () => {
      ending = await system.terminate('ingest');
    });
    await assertOrderly(ending);
    await system.start('ingest');

    await whileWaiting(system, { table: 'alert_incidents', transactions: 1 }, async () => {
      ending = await system.terminate('rules');
    });
    await assertOrderly(ending);
    await system.start('rules');

    const rules = [rule, await tell('told')];
    await waitFor(() => hook.waiting() > 0, { what: 'a notice on its way', timeoutMs: 60_000 });
    ending = await system.terminate('notify');
    release();
    await assertOrderly(ending);
    await system.start('notify');

    rules.push(await tell('told again'));
    await waitFor(() => hook.waiting() > 0, { what: 'another notice', timeoutMs: 60_000 });
    await whileWaiting(system, { table: 'incident_timeline', transactions: 1, once: release }, async () => {
      ending = await system.terminate('incidents');
    });
    await assertOrderly(ending);
    await system.start('incidents');

    const ids = producers.map(({ id }) => id);
    await pauseProducers(system, ids);
    await settled(system);
    for (const id of ids) await assertGapless(system, id, (await statusOf(system, id)).next_sequence);
    const messages = messagesByNotice(hook.received);
    for (const each of rules) {
      assert.ok((await assertExact(system, each)) > 0);
      for (const { id } of await incidentsOf(system, each)) {
        for (const kind of ['opened', 'resolved'])
          assert.equal(messages.get(`${kind} ${id}`)?.length, 1, `${kind} ${id}`);
      }
    }
  });
});
