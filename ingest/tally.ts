import { type Event, LATE_AFTER_MS } from '../domain/event.ts';
import { bucketOf } from '../domain/window.ts';
import type { Match } from './rule-set.ts';

const MINUTE_MS = 60_000;

/** A row of window_counts to be added to, by its column names cut to a letter: they travel in every append. */
export interface CountRow {
  r: string;
  v: number;
  g: string;
  b: number;
  n: number;
}

/** A group of a rule that events touched, and when: what may have to be judged. */
export interface TouchedRow {
  r: string;
  v: number;
  g: string;
  /** The events came late. */
  l: boolean;
  f: number;
  t: number;
}

export interface RollupRow {
  m: number;
  s: string;
  t: string;
  n: number;
}

/** What an append adds, apart from the events themselves. */
export interface Tally {
  counts: CountRow[];
  touched: TouchedRow[];
  rollups: RollupRow[];
}

/** Adds up what new events, and the rules that they match, mean for windows and rollups. `now` is their time of arrival, epoch ms. */
export function tally(events: readonly Event[], matches: readonly Match[], now: number): Tally {
  const rollups = new Map<string, RollupRow>();
  for (const { occurred_at, severity, event_type } of events) {
    const m = Math.floor(occurred_at / MINUTE_MS) * MINUTE_MS;
    const key = `${m} ${severity}\0${event_type}`;
    const rollup = rollups.get(key);
    if (rollup) rollup.n++;
    else rollups.set(key, { m, s: severity, t: event_type, n: 1 });
  }
  const counts = new Map<string, CountRow>();
  const touched = new Map<string, TouchedRow>();
  for (const { event, rule, group: g } of matches) {
    const at = event.occurred_at;
    const b = bucketOf(at, rule.bucketMs);
    const countKey = `${rule.id} ${b} ${g}`;
    const count = counts.get(countKey);
    if (count) count.n++;
    else counts.set(countKey, { r: rule.id, v: rule.revision, g, b, n: 1 });
    const l = now - at > LATE_AFTER_MS;
    const touchKey = `${rule.id} ${l} ${g}`;
    const touch = touched.get(touchKey);
    if (touch) {
      touch.f = Math.min(touch.f, at);
      touch.t = Math.max(touch.t, at);
    } else touched.set(touchKey, { r: rule.id, v: rule.revision, g, l, f: at, t: at });
  }
  return { counts: [...counts.values()], touched: [...touched.values()], rollups: [...rollups.values()] };
}
