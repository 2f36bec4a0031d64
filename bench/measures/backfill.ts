import { backfill } from '../../activities/rules/backfill.ts';
import { connect, sqlOf } from '../../db/orm.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { loadRule } from '../../db/queries/rules/judging.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { RULE_DEFAULTS, type RuleDefinition } from '../../domain/rules/rule.ts';
import { expectStatus } from '../../test/support/load.ts';
import type { Bench, Figure } from '../bench.ts';
import { fillEvents } from '../fill.ts';
import { replaceRules } from '../rules.ts';

const EVENTS = 5_000_000;

/** A rule over the last 29 of 30 days of events. It counts nearly all events, in 23 groups. */
const definition: RuleDefinition = {
  ...RULE_DEFAULTS,
  condition: { kind: 'count', threshold_count: 1_000_000_000, window_seconds: (29 * DAY_MS) / 1000 },
  group_by: ['payload.host'],
  max_groups: 100_000,
};

/**
 * A new rule counts the stored events in its window while the API appends others, one after the other. Each
 * of them belongs to a new group of that rule, so it must be admitted at the same time as the backfill's
 * groups.
 */
export async function measureBackfill({ system, database, quick }: Bench): Promise<Figure[]> {
  // With as few events as in the quick run, the partitions of thirty days would dominate the result.
  if (quick) return [];
  await replaceRules(database, 10, 0);
  const orm = await connect(system.databaseUrl, 4);
  try {
    const { rows } = await database.query<{ n: number }>('select count(*)::int as n from events');
    if (rows[0]!.n < EVENTS) {
      await database.query('truncate events, window_counts, window_times, event_rollups, event_totals');
      await fillEvents(orm, EVENTS, Date.now());
    }
    const words = { late: 'notify', incident_severity: null, labels: {}, annotations: {} } as const;
    const input = { name: 'backfill', enabled: true, definition, sample: false, ...words };
    const { id } = await createRule(orm, input, Date.now());
    const rule = await loadRule(sqlOf(orm), id);
    const version = rule!.versions[0]!;

    let counting = true;
    const waits: number[] = [];
    const appending = (async () => {
      for (let n = 0; counting; n++) {
        const since = performance.now();
        const event = {
          source_id: 'beside',
          severity: 'high',
          event_type: 'beside',
          payload: { host: `new-${n}` },
        };
        await expectStatus(201, system.call('POST', '/events', event));
        waits.push(performance.now() - since);
      }
    })();
    const since = performance.now();
    await backfill(orm, version);
    const seconds = (performance.now() - since) / 1000;
    counting = false;
    await appending;

    const counted = await database.query<{ n: number }>(
      'select sum(n)::int as n from window_counts where rule_id = $1 and slot = 32',
      [id],
    );
    const { n } = counted.rows[0]!;
    const detail = `${n.toLocaleString('en')} events in ${seconds.toFixed(1)} s`;
    const longest = Math.max(...waits);
    return [
      {
        ...{ measure: 'backfill of a rule over 29 days, appends beside it', value: n / seconds },
        ...{ floor: 83_000, aim: 150_000, better: 'more', unit: 'events/s', detail },
      },
      {
        ...{ measure: 'longest append of a new group beside it', value: longest },
        ...{ floor: 100, aim: 50, better: 'less', unit: 'ms', detail: `of ${waits.length}` },
      },
    ];
  } finally {
    await orm.close(true);
  }
}
