import { setTimeout as sleep } from 'node:timers/promises';
import { expectStatus, makeRule } from '../../test/support/load.ts';
import { waitFor } from '../../test/support/wait-for.ts';
import type { Bench, Figure } from '../bench.ts';
import { makeEvents } from '../events.ts';
import { Senders, steadily } from '../load.ts';
import { replaceRules } from '../rules.ts';
import { percentile } from '../table.ts';
import { startWorkers } from '../workers.ts';

const TYPE = 'probe';
/** Background load in events per second. */
const BACKGROUND = 1000;

/** The time from sending an event until its incident can be read, under background load. */
export async function measureIncidents(bench: Bench): Promise<Figure[]> {
  const { system, database, quick } = bench;
  await startWorkers(bench);
  await replaceRules(database, 1000, 20);
  const rule = await makeRule(system, {
    ...{ name: 'probes', event_type: TYPE, group_by: ['payload.probe'] },
    ...{ threshold_count: 1, window_seconds: 60 },
  });
  const senders = new Senders(system.url, 4);
  const stop = steadily(senders, BACKGROUND, (count) => makeEvents(count, Date.now()));
  const taken: number[] = [];
  const samples = quick ? 30 : 150;
  try {
    for (let n = -5; n < samples; n++) {
      const group = JSON.stringify([`probe-${n}`]);
      const since = performance.now();
      await expectStatus(
        201,
        system.call('POST', '/events', {
          ...{ source_id: 'probes', severity: 'high', event_type: TYPE },
          payload: { probe: `probe-${n}` },
        }),
      );
      const isOpen = async () => {
        const { rowCount } = await database.query({
          name: 'open',
          text: `select from alert_incidents where rule_id = $1 and group_key = $2 and state <> 'resolved'`,
          values: [rule, group],
        });
        return rowCount === 1;
      };
      await waitFor(isOpen, { what: 'the incident', everyMs: 4 });
      // The first ones are not counted: their workflows must be started, and the code has not run yet.
      if (n >= 0) taken.push(performance.now() - since);
      await sleep(Math.random() * 100);
    }
  } finally {
    await stop();
    senders.close();
  }
  const detail = `${taken.length} incidents, ${BACKGROUND} events/s meanwhile`;
  const measure = 'event to open incident, 1,000 events/s beside it';
  return [
    {
      ...{ measure: `${measure}: p50`, value: percentile(taken, 0.5), floor: 300, aim: 100 },
      ...{ better: 'less', unit: 'ms', detail },
    },
    {
      ...{ measure: `${measure}: p99`, value: percentile(taken, 0.99), floor: 1500, aim: 500 },
      ...{ better: 'less', unit: 'ms', detail },
    },
  ];
}
