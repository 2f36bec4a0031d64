import assert from 'node:assert/strict';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { timeSkippingServer } from '../../embedded/temporal/test-server.ts';
import { searchAttributes } from '../../temporal-config/register.ts';
import { DELIVERY_SCHEDULE_MS } from '../../workflows/retry-policies.ts';
import { keepHistory } from '../support/histories.ts';
import { type Receiver, receiver } from './channels/receiver.ts';
import { type Stage, stage } from './stage.ts';

/** INDEXED_VALUE_TYPE_KEYWORD of Temporal's API. */
const KEYWORD = 2;

describe('a receiver that is down for days', () => {
  let environment: TestWorkflowEnvironment;
  let there: Stage | undefined;
  let hook: Receiver;
  before(async function () {
    this.timeout(15 * 60_000);
    environment = await TestWorkflowEnvironment.createTimeSkipping(await timeSkippingServer());
    await environment.connection.operatorService.addSearchAttributes({
      namespace: 'default',
      searchAttributes: Object.fromEntries(Object.keys(searchAttributes).map((name) => [name, KEYWORD])),
    });
  });
  afterEach(async () => {
    await there?.close();
    await hook?.close();
  });
  after(() => environment?.teardown());

  const days = DELIVERY_SCHEDULE_MS.reduce((sum, ms) => sum + ms, 0) / 86_400_000;

  async function deliverOpened() {
    const channels = [{ kind: 'webhook' as const, name: 'ops', url: hook.url, secrets: [] }];
    const { nativeConnection, client } = environment;
    there = await stage({
      channels,
      scheduleMs: DELIVERY_SCHEDULE_MS,
      temporal: { namespace: 'default', nativeConnection, client },
    });
    const id = await there.open({ state: 'resolved', endedAt: new Date(), resolvedAt: new Date() });
    const handle = await there.signal(id);
    await handle.result();
    // The time-skipping server's clock is not used: when nothing is left to do, it runs on by years.
    const { startTime, closeTime } = await handle.describe();
    const tookDays = (closeTime!.getTime() - startTime.getTime()) / 86_400_000;
    return { id, handle, tookDays };
  }

  it('gets the notice at the last of ten attempts, after three days', async () => {
    hook = await receiver((_request, number) => ({ status: number < 9 ? 503 : 204 }));
    const { id, handle, tookDays } = await deliverOpened();
    assert.equal(hook.received.length, 10);
    assert.ok(tookDays >= days && tookDays < days + 0.1, `took ${tookDays} days, scheduled are ${days}`);
    const last = (await there!.timeline(id)).at(-1)!;
    assert.deepEqual([last.kind, last.detail.attempts], ['notice_sent', 10]);
    await keepHistory(handle, 'incident-days');
  });

  it('is given up after ten attempts', async () => {
    hook = await receiver(() => ({ status: 503 }));
    const { id } = await deliverOpened();
    assert.equal(hook.received.length, 10);
    const last = (await there!.timeline(id)).at(-1)!;
    assert.deepEqual([last.kind, last.detail.attempts], ['notice_failed', 10]);
  });

  it('is not called for as long as it asks, but for a day at most', async () => {
    hook = await receiver((_request, number) =>
      number === 0 ? { status: 429, headers: { 'retry-after': String(7 * 86_400) } } : {},
    );
    const { tookDays } = await deliverOpened();
    assert.equal(hook.received.length, 2);
    assert.ok(tookDays >= 1 && tookDays < 1.1, `took ${tookDays} days`);
  });
});
