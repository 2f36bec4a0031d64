import { z } from 'zod';
import { codeSpan } from '../../temporal-ui/text.ts';
import { keepsTimes } from '../kept-times.ts';
import { atLeast } from '../series.ts';
import { bucketMsOf } from '../window.ts';
import { MOST_COUNT, MOST_SECONDS, type RuleKind, type ShortForm } from './kind.ts';

/** Holds at t while at least `threshold_count` matched events lie in [t − window, t], both ends included. */
export interface CountCondition {
  kind: 'count';
  threshold_count: number;
  window_seconds: number;
}

/**
 * The highest threshold of a rule that reads kept times. At each edge of a window, judging reads up to twice
 * as many times of a group into memory.
 */
export const MAX_LONG_THRESHOLD = 1_000_000;

export const count = {
  kind: 'count',
  schema: z
    .object({
      kind: z.literal('count'),
      threshold_count: z.int().min(1).max(MOST_COUNT),
      window_seconds: z.int().min(1).max(MOST_SECONDS),
    })
    .meta({
      id: 'CountCondition',
      description:
        'Holds at t while at least `threshold_count` matched events lie in [t − window, t], both ends included. With a window above ten minutes `threshold_count` is at most 1,000,000.',
    }),
  builtIn: false,
  reads: 'events',
  moreEvents: 'up',
  shortForm: ({ threshold_count, window_seconds }) => ({ threshold_count, window_seconds }),
  // A client may read a rule, change one of the two ways to write a condition, and send back both. Then the
  // changed one counts.
  conditionFrom({ condition: asked, ...short }, before) {
    const chosen: Partial<ShortForm> = {};
    for (const name of ['threshold_count', 'window_seconds'] as const) {
      const said = [short[name], asked?.[name]].filter((value) => value !== undefined);
      const changed = new Set(said.filter((value) => value !== before?.[name]));
      if (changed.size > 1) return { flaw: { field: name, reason: 'differs from the value in condition' } };
      const [value = before?.[name]] = changed;
      if (value === undefined) return { flaw: { field: name, reason: 'is required' } };
      chosen[name] = value;
    }
    return { condition: { kind: 'count', ...(chosen as ShortForm) } };
  },
  windowMs: ({ window_seconds }) => window_seconds * 1000,
  tests: ({ threshold_count }, { recovery_threshold }) => ({
    opens: atLeast(threshold_count),
    keeps: atLeast(Math.min(recovery_threshold ?? threshold_count, threshold_count)),
  }),
  flaws({ threshold_count, window_seconds }) {
    if (threshold_count <= MAX_LONG_THRESHOLD || !keepsTimes(bucketMsOf(window_seconds * 1000))) return [];
    const reason = `must be at most ${MAX_LONG_THRESHOLD} with a window above ten minutes (${window_seconds} s)`;
    return [{ field: 'threshold_count', reason }];
  },
  firesWhen({ threshold_count, window_seconds }, { event_type, severity, group_by, for_seconds }) {
    const what = [
      event_type ? `of type ${codeSpan(event_type, 80)}` : '',
      severity ? `of severity ${codeSpan(severity, 40)}` : '',
    ].filter(Boolean);
    const groups = group_by.slice(0, 3).map((field) => codeSpan(field, 60));
    const counted = `at least ${threshold_count} matching ${threshold_count === 1 ? 'event' : 'events'}`;
    return [
      [counted, what.join(' and '), `within ${window_seconds} s`].filter(Boolean).join(' '),
      ...(groups.length > 0 ? [`with the same ${groups.join(', ')}${group_by.length > 3 ? ' …' : ''}`] : []),
      ...(for_seconds > 0 ? [`for ${for_seconds} s without a break`] : []),
    ].join(', ');
  },
} satisfies RuleKind<CountCondition>;
