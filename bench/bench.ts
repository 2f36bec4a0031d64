import type pg from 'pg';
import type { System } from '../test/support/system.ts';
import type { CopyBaseline } from './copy-baseline.ts';

/** What a measurement gets. */
export interface Bench {
  system: System;
  /** A connection to PostgreSQL, past the API. */
  database: pg.Client;
  copy: CopyBaseline;
  /** True for smaller numbers, so that the whole table takes less than a minute. */
  quick: boolean;
}

/** One line of the table. */
export interface Figure {
  measure: string;
  value: number;
  /** The value must reach this, or stay below it where less is better. */
  floor: number;
  aim: number;
  better: 'more' | 'less';
  unit: '' | 'events/s' | 'ms' | 'MB' | 'actions';
  /** The numbers from which the value was computed. */
  detail: string;
}

export type Verdict = 'aim' | 'ok' | 'below';

export function verdictOf({ value, floor, aim, better }: Figure): Verdict {
  const reaches = (limit: number) => (better === 'more' ? value >= limit : value <= limit);
  return reaches(aim) ? 'aim' : reaches(floor) ? 'ok' : 'below';
}
