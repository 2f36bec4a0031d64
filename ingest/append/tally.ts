import { type Event, LATE_AFTER_MS } from '../../domain/events/event.ts';
import { type CountToAdd, countToAdd, keepsTimes, type TimesRow } from '../../domain/rules/kept-times.ts';
import { bucketOf } from '../../domain/rules/window.ts';
import type { CountedRule } from './rule-set.ts';

const MINUTE_MS = 60_000;

/** The times of the first and the last of some events, epoch ms. */
interface Span {
  from: number;
  to: number;
}

/** What the events of one append add to one group of a rule. */
export class GroupTally {
  readonly rule: CountedRule;
  readonly group: string;
  events = 0;
  /** Times of the events by start of bucket; epoch ms. */
  readonly buckets = new Map<number, number[]>();
  inTime: Span | null = null;
  late: Span | null = null;

  constructor(rule: CountedRule, group: string) {
    this.rule = rule;
    this.group = group;
  }

  /** Adds an event that happened at `at` and arrives at `now`, both epoch ms. */
  add(at: number, now: number): void {
    this.events++;
    const bucket = bucketOf(at, this.rule.bucketMs);
    const times = this.buckets.get(bucket);
    if (times) times.push(at);
    else this.buckets.set(bucket, [at]);
    if (now - at > LATE_AFTER_MS) this.late = around(this.late, at, at);
    else this.inTime = around(this.inTime, at, at);
  }

  /** Adds the events of another group of the same rule. */
  addAll({ events, buckets, inTime, late }: GroupTally): void {
    this.events += events;
    for (const [bucket, more] of buckets) {
      const times = this.buckets.get(bucket);
      if (times) for (const at of more) times.push(at);
      else this.buckets.set(bucket, [...more]);
    }
    if (inTime) this.inTime = around(this.inTime, inTime.from, inTime.to);
    if (late) this.late = around(this.late, late.from, late.to);
  }
}

/** Extends the span to include the range; makes a new one if there was none. */
function around(span: Span | null, from: number, to: number): Span {
  if (span === null) return { from, to };
  if (from < span.from) span.from = from;
  if (to > span.to) span.to = to;
  return span;
}

/** A bucket of a group in one layer of counts. The layer is the number of the revision in force. */
interface Bucket {
  rule_id: string;
  layer: number;
  group_key: string;
  /** Start of the bucket, epoch ms. */
  bucket: number;
}

/** What is added to a row of window_counts. */
type CountRow = Bucket & CountToAdd;

/** Times that get a row of their own in window_times. */
type KeptRow = Bucket & TimesRow;

/**
 * A group of a rule that events touched, and when: what may have to be judged. These rows are stored in
 * `wake_outbox`, where processes of other releases may read them, so their short names stay: rule, revision,
 * group, whether the events came late, from, to.
 */
interface TouchedRow {
  r: string;
  v: number;
  g: string;
  l: boolean;
  f: number;
  t: number;
}

interface RollupRow {
  minute: number;
  severity: string;
  event_type: string;
  n: number;
}

/** What an append writes besides the events. */
export interface Tally {
  counts: CountRow[];
  times: KeptRow[];
  touched: TouchedRow[];
  rollups: RollupRow[];
}

/** Computes the rows for windows and rollups from new events and the groups they belong to. */
export function tally(events: readonly Event[], groups: readonly GroupTally[]): Tally {
  const counts: CountRow[] = [];
  const times: KeptRow[] = [];
  const touched: TouchedRow[] = [];
  for (const { rule, group, buckets, inTime, late } of groups) {
    const of = { rule_id: rule.id, layer: rule.revision, group_key: group };
    const keep = keepsTimes(rule.bucketMs);
    for (const [bucket, at] of buckets) {
      const { count, rows } = countToAdd(at, bucket, keep);
      counts.push({ ...of, bucket, ...count });
      for (const row of rows) times.push({ ...of, bucket, ...row });
    }
    const touch = { r: rule.id, v: rule.revision, g: group };
    if (late) touched.push({ ...touch, l: true, f: late.from, t: late.to });
    if (inTime) touched.push({ ...touch, l: false, f: inTime.from, t: inTime.to });
  }
  return { counts, times, touched, rollups: rollupsOf(events) };
}

function rollupsOf(events: readonly Event[]): RollupRow[] {
  const rollups = new Map<string, RollupRow>();
  for (const { occurred_at, severity, event_type } of events) {
    const minute = bucketOf(occurred_at, MINUTE_MS);
    const key = `${minute} ${severity}\0${event_type}`;
    const rollup = rollups.get(key);
    if (rollup) rollup.n++;
    else rollups.set(key, { minute, severity, event_type, n: 1 });
  }
  return [...rollups.values()];
}
