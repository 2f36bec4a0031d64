import assert from 'node:assert/strict';
import { sqlOf } from '../../db/orm.ts';
import { findIncident, incidentTimeline } from '../../db/queries/incidents/reads.ts';
import { keepHistory } from '../support/histories.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Receiver, receiver } from './channels/receiver.ts';
import { judged } from './judged.ts';
import { type Stage, stage } from './stage.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const MINUTE = 60_000;
const episode = (opened_at: number, ended_at: number | null) => ({ since: opened_at, opened_at, ended_at });

describe('an incident that late events correct', () => {
  let there: Stage;
  let hook: Receiver;
  let group: Awaited<ReturnType<typeof judged>>;
  beforeEach(async () => {
    hook = await receiver();
    there = await stage({ channels: [{ kind: 'webhook', name: 'ops', url: hook.url, secrets: [] }] });
    group = await judged(there.orm);
  });
  afterEach(async () => {
    await there.close();
    await hook.close();
  });

  /** What the receiver was told, in order: kind of notice, and state, start and end of the incident. */
  const told = () =>
    hook.received.map(({ body }) => {
      const { kind, incident } = JSON.parse(body);
      const minute = (at: string | null) => at && (Date.parse(at) - NOON) / MINUTE;
      return [kind, incident.state, minute(incident.opened_at), minute(incident.ended_at)];
    });
  const kinds = async (id: string) =>
    (await incidentTimeline(sqlOf(there.orm), id))
      .map(({ kind }) => kind)
      .filter((kind) => !/notice/.test(kind));
  const row = async (id: string) => (await findIncident(sqlOf(there.orm), id))!;

  it('is withdrawn: it is resolved, people are notified once, and what they did stays', async () => {
    const [id] = await group.judge([episode(NOON, null)]);
    const handle = await there.signal(id!);
    await there.allDone(id!, 1);
    await group.act('acknowledge', id!);
    assert.deepEqual(await group.judge([]), [id]);
    await there.signal(id!);
    await handle.result();
    const { state, resolve_reason, resolved_by, withdrawn_at, opened_at, ended_at, acknowledged_by } =
      await row(id!);
    assert.deepEqual([state, resolve_reason, resolved_by], ['resolved', 'withdrawn', null]);
    assert.deepEqual([ended_at, acknowledged_by], [opened_at, 'ada']);
    assert.ok(withdrawn_at);
    assert.deepEqual(told(), [
      ['opened', 'open', 0, null],
      ['withdrawn', 'resolved', 0, 0],
    ]);
    assert.deepEqual(await kinds(id!), ['opened', 'acknowledged', 'withdrawn']);
    assert.deepEqual(await group.judge([]), [], 'what is withdrawn is not judged again');
    const conflict = 'the incident is already resolved';
    assert.deepEqual(await group.act('resolve', id!), { done: false, gone: false, conflict });
    await keepHistory(handle, 'incident-withdrawn');
  });

  it('keeps an acknowledgement that came before its withdrawal, and refuses one that came after', async () => {
    for (let times = 0; times < 10; times += 1) {
      const [id] = await group.judge([episode(NOON, null)]);
      const [acknowledged] = await Promise.all([group.act('acknowledge', id!), group.judge([])]);
      const { state, withdrawn_at, acknowledged_by } = await row(id!);
      assert.equal(state, 'resolved');
      assert.ok(withdrawn_at);
      assert.equal(acknowledged_by, acknowledged.done ? 'ada' : null);
      const happened = acknowledged.done ? ['opened', 'acknowledged', 'withdrawn'] : ['opened', 'withdrawn'];
      assert.deepEqual(await kinds(id!), happened);
    }
  });

  it('is withdrawn without a notice if it opened without one', async () => {
    const [id] = await group.judge([episode(NOON, NOON + MINUTE)], { late: true });
    await group.judge([]);
    await (await there.signal(id!)).result();
    assert.deepEqual(told(), []);
    assert.deepEqual(await kinds(id!), ['opened', 'resolved', 'withdrawn']);
  });

  it('stays resolved by a person who resolved it before it is withdrawn', async () => {
    const [id] = await group.judge([episode(NOON, null)]);
    await group.act('resolve', id!);
    await group.judge([]);
    const { state, resolve_reason, resolved_by, withdrawn_at } = await row(id!);
    assert.deepEqual([state, resolve_reason, resolved_by], ['resolved', 'manual', 'ada']);
    assert.ok(withdrawn_at);
  });

  it('opens as another incident if the rule fires there after all', async () => {
    const [id] = await group.judge([episode(NOON, NOON + MINUTE)]);
    await group.judge([]);
    const [other] = await group.judge([episode(NOON, NOON + MINUTE)]);
    assert.notEqual(other, id);
    assert.equal((await row(other!)).withdrawn_at, null);
  });

  it('is shortened, and shortened again, each with one notice', async () => {
    const [id] = await group.judge([episode(NOON, NOON + 10 * MINUTE)]);
    await group.judge([episode(NOON, NOON + 8 * MINUTE)]);
    await group.judge([episode(NOON + MINUTE, NOON + 7 * MINUTE)]);
    await (await there.signal(id!)).result();
    const now = ['resolved', 1, 7];
    assert.deepEqual(told(), [
      ['opened', ...now],
      ['resolved', ...now],
      ['shortened', ...now],
      ['shortened', ...now],
    ]);
    assert.equal(new Set(hook.received.map(({ headers }) => headers['webhook-id'])).size, 4);
    const { corrections, resolved_at, metadata } = await row(id!);
    assert.deepEqual([corrections, resolved_at], [2, NOON + 7 * MINUTE]);
    assert.equal(metadata.observed_count, NOON + MINUTE);
    assert.deepEqual(await kinds(id!), ['opened', 'resolved', 'shortened', 'shortened']);
  });

  it('is split: the part that continues stays, and the others become incidents of their own', async () => {
    const [id] = await group.judge([episode(NOON, null)]);
    await group.act('acknowledge', id!);
    const touched = await group.judge([episode(NOON, NOON + 2 * MINUTE), episode(NOON + 5 * MINUTE, null)]);
    const part = touched.find((one) => one !== id)!;
    assert.equal((await row(id!)).state, 'acknowledged');
    await there.signal(id!);
    await there.allDone(id!, 2);
    await (await there.signal(part)).result();
    assert.deepEqual(told().slice(0, 2), [
      ['opened', 'acknowledged', 5, null],
      ['split', 'acknowledged', 5, null],
    ]);
    assert.deepEqual(told().slice(2), [
      ['opened', 'resolved', 0, 2],
      ['resolved', 'resolved', 0, 2],
    ]);
    const entries = await incidentTimeline(sqlOf(there.orm), id!);
    const split = entries.find(({ kind }) => kind === 'split');
    assert.deepEqual(split?.detail, {
      reason: 'corrected by late events',
      before: { opened_at: new Date(NOON).toISOString(), ended_at: null },
      opened_at: new Date(NOON + 5 * MINUTE).toISOString(),
      ended_at: null,
      into: [part],
    });
  });

  it('is withdrawn once, wherever a crash happens', async () => {
    const [id] = await group.judge([episode(NOON, null)]);
    const first = await there.signal(id!);
    await there.allDone(id!, 1);
    await assert.rejects(group.judge([], { crash: 'before the commit' }), /crash/);
    assert.equal((await row(id!)).state, 'open');
    await group.judge([]);
    // The judge crashed after its commit, so the workflow was not signalled. Then the workflow is lost.
    await first.terminate();
    await group.judge([]);
    const second = await there.signal(id!);
    await second.result();
    // Another signal, like that of a sweep which does not know of the end.
    await (await there.signal(id!)).result();
    assert.deepEqual(
      told().map(([kind]) => kind),
      ['opened', 'withdrawn'],
    );
    const sent = (await there.timeline(id!)).filter(({ kind }) => kind === 'notice_sent');
    assert.deepEqual(
      sent.map(({ detail }) => detail.notice),
      ['opened', 'withdrawn'],
    );
  });

  it('is withdrawn with one message id, however many attempts its delivery needs', async () => {
    await hook.close();
    hook = await receiver((_request, number) => ({ status: number === 1 ? 500 : 200 }));
    await there.close();
    there = await stage({ channels: [{ kind: 'webhook', name: 'ops', url: hook.url, secrets: [] }] });
    group = await judged(there.orm);
    const [id] = await group.judge([episode(NOON, null)]);
    const handle = await there.signal(id!);
    await there.allDone(id!, 1);
    await group.judge([]);
    await there.signal(id!);
    await handle.result();
    await waitFor(() => hook.received.length === 3, { what: 'the second attempt', seen: told });
    const [, ...withdrawals] = hook.received.map(({ headers }) => headers['webhook-id']);
    assert.equal(new Set(withdrawals).size, 1);
  });
});
