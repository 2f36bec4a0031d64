import { expectStatus } from '../../test/support/load.ts';
import type { Bench, Figure } from '../bench.ts';
import { LOAD_TYPE } from '../events.ts';
import { replaceRules } from '../rules.ts';

const RULES = 10_000;

/** How long the first event waits in a new process, which has not read the rules yet. */
export async function measureRestart({ system, database }: Bench): Promise<Figure[]> {
  const first = async (rules: number) => {
    await replaceRules(database, rules, 10);
    await (await system.terminate('api')).exited;
    await system.start('api');
    const since = performance.now();
    const event = { source_id: 'first', severity: 'high', event_type: LOAD_TYPE };
    await expectStatus(201, system.call('POST', '/events', event));
    return performance.now() - since;
  };
  const few = await first(10);
  return [
    {
      ...{ measure: '10,000 rules ready after a restart: first event', value: await first(RULES) },
      ...{ floor: 2000, aim: 500, better: 'less', unit: 'ms', detail: `${Math.round(few)} ms with 10 rules` },
    },
  ];
}
