import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { LockMode } from '@mikro-orm/core';
import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { pino } from 'pino';
import { type Channel, RetryableFailure } from '../../activities/channels/channel.ts';
import { createIncidentActivities } from '../../activities/incidents/index.ts';
import { createNotifyActivities } from '../../activities/incidents/notify.ts';
import { DeliveryEntity, IncidentEntity, NoticeEntity, TimelineEntity } from '../../db/entities/incident.ts';
import { connect, type Orm, transaction } from '../../db/orm.ts';
import type { NoticeDocument } from '../../domain/incidents/notice.ts';
import { startSweep } from '../../workers/sweep.ts';
import { freshDatabase } from '../support/servers.ts';
import { waitFor } from '../support/wait-for.ts';
import { incidentRow, record } from './record.ts';

const log = pino({ level: 'silent' });

describe('an attempt to deliver', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let orm: Orm;
  let incident_id: string;
  let notice_id: string;
  before(async () => {
    database = await freshDatabase();
  });
  beforeEach(async () => {
    orm = await connect(database.url, 2);
    notice_id = randomUUID();
    incident_id = await transaction(orm, async (_db, em) => {
      const { id } = em.create(IncidentEntity, incidentRow());
      em.create(NoticeEntity, { id: notice_id, incidentId: id, kind: 'opened', at: new Date() });
      return id;
    });
  });
  afterEach(() => orm.close(true));
  after(() => database.drop());

  const deliverThrough = (send: Channel['send'], through = orm) => {
    const channels = [{ name: 'ops', kind: 'test', send }];
    const dependencies = { orm: through, channels, clock: Date.now, log, publicUrl: 'http://tocsin.test' };
    const { deliver } = createNotifyActivities(dependencies);
    return (attempt: number) => deliver({ incident_id, notice_id, channel: 'ops', attempt });
  };
  const rows = () => orm.em.fork().find(DeliveryEntity, { noticeId: notice_id });

  it('has its row before anything is sent', async () => {
    const deliver = deliverThrough(async () => {
      const [row] = await rows();
      assert.deepEqual([row?.attempt, row?.outcome], [1, 'retry']);
      assert.match(row!.detail, /begun/);
      return { detail: '200' };
    });
    assert.deepEqual(await deliver(1), { outcome: 'sent', detail: '200' });
    const [row] = await rows();
    assert.deepEqual([row?.outcome, row?.detail], ['sent', '200']);
  });

  it('sends nothing if it could not be recorded', async () => {
    const away = await connect('postgresql://nobody@127.0.0.1:1/nowhere', 2);
    let sent = 0;
    const deliver = deliverThrough(async () => {
      sent += 1;
      return { detail: '200' };
    }, away);
    await assert.rejects(deliver(1), (error: unknown) => {
      assert.ok(error instanceof ApplicationFailure);
      assert.equal(error.type, 'transient');
      return true;
    });
    assert.equal(sent, 0);
    await away.close(true);
  });

  it('reports its outcome even if the database goes down meanwhile, and the outcome is recorded later', async () => {
    let away = false;
    const sometimes = new Proxy(orm, {
      get(target, property) {
        if (away) throw new Error('connection refused');
        return Reflect.get(target, property, target);
      },
    });
    const deliver = deliverThrough(async () => {
      away = true;
      return { detail: '200' };
    }, sometimes);
    assert.deepEqual(await deliver(1), { outcome: 'sent', detail: '200' });
    assert.equal((await rows())[0]?.outcome, 'retry');
    const { settleDelivery } = createIncidentActivities({
      ...{ orm, clock: Date.now, log, channels: ['ops'] },
      installation: async () => ({ api: 'http://tocsin.test', attributes: [] }),
    });
    const settled = { incident_id, notice_id, kind: 'opened' as const, channel: 'ops', attempt: 1 };
    for (let twice = 0; twice < 2; twice += 1) {
      await settleDelivery({ ...settled, outcome: 'sent', detail: '200' });
    }
    assert.deepEqual([(await rows())[0]?.outcome, (await rows())[0]?.detail], ['sent', '200']);
    const timeline = await orm.em.fork().find(TimelineEntity, { incidentId: incident_id });
    assert.deepEqual(
      timeline.map(({ kind, actor }) => [kind, actor]),
      [['notice_sent', 'tocsin']],
    );
  });

  it('reports its outcome even if its row is locked meanwhile', async () => {
    const other = await connect(database.url, 2);
    const [locked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let held = Promise.resolve();
    const channel: Channel = {
      ...{ name: 'ops', kind: 'test' },
      async send() {
        held = transaction(other, async (_db, em) => {
          await em.findOneOrFail(
            DeliveryEntity,
            { noticeId: notice_id },
            { lockMode: LockMode.PESSIMISTIC_WRITE },
          );
          locked.resolve();
          await release.promise;
        });
        await locked.promise;
        return { detail: '200' };
      },
    };
    const { deliver } = createNotifyActivities({
      ...{ orm, channels: [channel], clock: Date.now, log, publicUrl: 'http://tocsin.test', recordMs: 30 },
    });
    const attempt = { incident_id, notice_id, channel: 'ops', attempt: 1 };
    assert.deepEqual(await deliver(attempt), { outcome: 'sent', detail: '200' });
    release.resolve();
    await held;
    await other.close(true);
  });

  it('is not made if an earlier one succeeded after all', async () => {
    const sent: NoticeDocument[] = [];
    const deliver = deliverThrough(async (notice) => {
      sent.push(notice);
      return { detail: '200' };
    });
    await deliver(1);
    assert.equal((await deliver(2)).outcome, 'sent');
    assert.equal(sent.length, 1);
  });

  it('never throws because of a channel, and shows nothing that the channel has not redacted', async () => {
    const refused = deliverThrough(() => Promise.reject(new RetryableFailure('503', 1000)));
    assert.deepEqual(await refused(1), { outcome: 'retry', detail: '503', retry_after_ms: 1000 });
    const broken = deliverThrough(() => Promise.reject(new TypeError('token abc123 is wrong')));
    assert.deepEqual(await broken(2), { outcome: 'retry', detail: 'error in the channel: TypeError' });
    assert.deepEqual((await rows()).map(({ attempt }) => attempt).sort(), [1, 2]);
  });

  it('stops waiting for a channel that ignores its time limit', async () => {
    const channels = [{ name: 'ops', kind: 'test', send: () => new Promise<never>(() => {}) }];
    const dependencies = {
      orm,
      channels,
      clock: Date.now,
      log,
      publicUrl: 'http://tocsin.test',
      timeoutMs: 30,
    };
    const { deliver } = createNotifyActivities(dependencies);
    const outcome = await deliver({ incident_id, notice_id, channel: 'ops', attempt: 1 });
    assert.deepEqual([outcome.outcome, outcome.detail], ['retry', 'no answer in time']);
  });
});

describe('notices that nobody delivers', () => {
  it('are all signalled, however many are stuck before them', async () => {
    const there = await record();
    const signalled = new Set<string>();
    let times = 0;
    const client = {
      withDeadline: (_deadline: number, call: () => Promise<void>) => call(),
      workflow: {
        async signalWithStart(_type: string, { workflowId }: { workflowId: string }) {
          signalled.add(workflowId);
          times += 1;
        },
      },
    } as unknown as Client;
    const now = Date.now() + 60_000;
    for (let stuck = 0; stuck < 401; stuck += 1) await there.open();
    const sweep = startSweep({ orm: there.orm, client, clock: () => now, log });
    try {
      await waitFor(() => signalled.size === 401, { what: 'every incident to be signalled' });
      assert.equal(times, 401, 'one was signalled before its pause was over');
    } finally {
      await sweep.stop();
      await there.close();
    }
  });
});
