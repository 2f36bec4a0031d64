import type pg from 'pg';
import type { System } from '../test/support/system.ts';
import type { CopyBaseline } from './copy-baseline.ts';

/** What a measure works with. */
export interface Bench {
  system: System;
  /** Straight to PostgreSQL, past the API. */
  database: pg.Client;
  copy: CopyBaseline;
  /** Smaller counts, for the whole table in less than a minute. */
  quick: boolean;
}

/** One line of the table. */
export interface Figure {
  measure: string;
  value: number;
  /** What the value must reach, or stay below where less is better. */
  floor: number;
  aim: number;
  better: 'more' | 'less';
  unit: '' | 'events/s' | 'ms' | 'MB' | 'actions';
  /** What it was computed from. */
  detail: string;
}

export type Verdict = 'aim' | 'ok' | 'below';

export function verdictOf({ value, floor, aim, better }: Figure): Verdict {
  const reaches = (limit: number) => (better === 'more' ? value >= limit : value <= limit);
  return reaches(aim) ? 'aim' : reaches(floor) ? 'ok' : 'below';
}
