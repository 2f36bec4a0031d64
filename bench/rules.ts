import type pg from 'pg';
import { RULE_DEFAULTS, type RuleDefinition, windowSpecOf } from '../domain/rules/rule.ts';
import { LOAD_TYPE } from './events.ts';

/** A count rule that the benchmark's load never makes fire. */
const definition = (event_type: string): RuleDefinition => ({
  ...RULE_DEFAULTS,
  condition: { kind: 'count', threshold_count: 1_000_000_000, window_seconds: 300 },
  event_type,
});

/**
 * Replaces all rules by `count` enabled ones, which are ready. `matching` of them count every event of the
 * load. They are inserted as rows, without the API, because there are no events for a backfill to count.
 */
export async function replaceRules(client: pg.Client, count: number, matching: number): Promise<void> {
  const { windowMs, bucketMs, threshold } = windowSpecOf(definition(''));
  const [loud, quiet] = [definition(LOAD_TYPE), definition('quiet')];
  await client.query('begin');
  await client.query('select pg_advisory_xact_lock(1)');
  for (const table of [
    'alert_rules',
    'rule_versions',
    'rule_groups',
    'window_times',
    'window_counts',
    'pending_evaluations',
  ]) {
    await client.query(`delete from ${table}`);
  }
  await client.query(
    `with made as (
       insert into alert_rules (id, name, enabled, definition, late, labels, annotations, revision, created_at, updated_at)
       select gen_random_uuid(), 'rule ' || n, true,
         case when n <= $2 then $3::jsonb else jsonb_set($4::jsonb, '{event_type}', to_jsonb('quiet-' || n)) end,
         'notify', '{}', '{}', 1, now(), now()
       from generate_series(1, $1::int) n
       returning id, definition
     )
     insert into rule_versions (rule_id, revision, definition, enabled, effective_at, snapshot, counted_from, window_ms,
       bucket_ms, threshold, ready)
     select id, 1, definition, true, now(), pg_current_snapshot()::text, now(), $5, $6, $7, true from made`,
    [count, matching, JSON.stringify(loud), JSON.stringify(quiet), windowMs, bucketMs, threshold],
  );
  await client.query('update rule_set set version = version + 1');
  await client.query('commit');
  // Later measurements must not scan dead rows.
  await client.query('vacuum analyze alert_rules, rule_versions, rule_groups');
}
