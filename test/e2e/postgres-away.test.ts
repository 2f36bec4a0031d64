import assert from 'node:assert/strict';
import { Client, Connection } from '@temporalio/client';
import { producerWorkflowId } from '../../workflows/ids.ts';
import { producerStatus } from '../../workflows/messages.ts';
import {
  caughtUp,
  insistentSender,
  makeProducers,
  makeRule,
  pauseProducers,
  statusOf,
} from '../support/load.ts';
import { waitFor } from '../support/wait-for.ts';
import { assertGapless, incidentsOf } from './record.ts';
import { stage } from './stage.ts';

const WINDOW_SECONDS = 10;
/** Longer than the window. If the outage counted as silence, the window would be empty. */
const AWAY_MS = 15_000;
/** 30 events per second. */
const sources = ['steady-1', 'steady-2', 'steady-3'];

describe('PostgreSQL down for longer than a window', function () {
  this.timeout(240_000);
  const there = stage(['api', 'ingest', 'rules']);
  const untilWatermark = (column: 'value' | 'computed_at', at: number) =>
    waitFor(
      async () => {
        const [row] = await there.system.query<{ at: number }>(
          `select ${column}::float8 as at from watermark`,
        );
        return row!.at > at;
      },
      { what: `${column} of the watermark to pass the gap`, timeoutMs: 90_000, everyMs: 250 },
    );

  it('holds senders up and loses nothing, and incidents that fire across the gap continue', async () => {
    const { system } = there;
    const rules: string[] = [];
    for (const event_type of ['steady', 'posted']) {
      const window = { threshold_count: 10, window_seconds: WINDOW_SECONDS };
      rules.push(await makeRule(system, { name: `Steadily ${event_type}`, event_type, ...window }));
    }
    const settings = { rate_per_second: 10, tick_ms: 500, event_types: ['steady'] };
    await makeProducers(
      system,
      sources.map((id) => ({ id, settings })),
    );
    const sender = insistentSender(system, 'posted', 100);
    for (const rule of rules) {
      await waitFor(async () => (await incidentsOf(system, rule)).length === 1, { what: 'an incident' });
    }

    await system.kill('postgres');
    sender.silence(true);
    const connection = await Connection.connect({ address: system.temporalAddress });
    const { workflow } = new Client({ connection });
    const back = Date.now() + AWAY_MS;
    const inFlight: number[] = [];
    await waitFor(
      async () => {
        for (const id of sources) {
          const status = await workflow.getHandle(producerWorkflowId(id)).query(producerStatus);
          inFlight.push(status.in_flight);
        }
        return Date.now() > back;
      },
      { what: 'the gap to pass', everyMs: 250, timeoutMs: 120_000 },
    );
    await connection.close();
    assert.equal(Math.max(...inFlight), 4);
    await system.start('postgres');
    const returned = Date.now();
    // The sender stays away until all producers have caught up and deadlines were checked since, so that the
    // watermark has to wait for the sender too. It waits 15 s. So on a slow machine the sender comes back
    // before the producers have caught up.
    const caught = caughtUp(system, sources);
    await Promise.race([
      caught,
      waitFor(() => Date.now() > returned + 6_000, { what: 'the sender to return' }),
    ]);
    await untilWatermark('computed_at', Date.now() + 1_000);
    sender.silence(false);

    await caught;

    // Everything up to after the gap is judged. What is judged later would not change it.
    await untilWatermark('value', returned + WINDOW_SECONDS * 1000);
    for (const rule of rules) {
      const recorded = await incidentsOf(system, rule);
      assert.deepEqual(
        recorded.map(({ state, reopened, ended_at }) => ({ state, reopened, ended_at })),
        [{ state: 'open', reopened: 0, ended_at: null }],
      );
    }
    const [undone] = await system.query<{ n: number }>(
      `select count(*)::int as n from incident_timeline where kind in ('resolved', 'reopened', 'recovered')`,
    );
    assert.equal(undone!.n, 0);

    const posted = await sender.stop();
    const [kept] = await system.query<{ n: number }>(
      `select count(*)::int as n from events where event_type = 'posted'`,
    );
    assert.equal(kept!.n, posted);
    await pauseProducers(system, sources);
    for (const id of sources) {
      const stored = await assertGapless(system, id, (await statusOf(system, id)).next_sequence);
      assert.ok(stored > (AWAY_MS / 1000) * 10, `${stored} events of ${id}`);
    }
  });
});
