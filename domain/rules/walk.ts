import type { IncidentOnRecord } from '../incidents/incident.ts';
import {
  conditionsOf,
  type Episode,
  type Horizon,
  type Judged,
  type Standing,
  type Start,
  waiting,
  walkStretch,
} from './episodes.ts';
import type { WindowSpec } from './rule.ts';
import type { Tests } from './series.ts';
import { startOf } from './start.ts';
import { bucketOf, type CutEdge, type WindowCounts } from './window.ts';

/** A time range with events that came since the group was last judged. Epoch ms, both ends included. */
export interface Change {
  from: number;
  /** Infinite if nothing recorded from `from` on can be trusted. */
  to: number;
}

/** A group to be judged, with its recorded incidents. */
export interface WalkQuestion {
  spec: WindowSpec;
  tests: Tests<number>;
  /** At least one change, in any order. Where no change has an effect, the recorded incidents are right. */
  changes: readonly Change[];
  /** The first instant of the revision; null for a rule's first revision. */
  effectiveAt: number | null;
  /** All incidents of the group that have not ended, or ended after the first change began, in any order. */
  incidents: readonly (IncidentOnRecord & { carried: boolean })[];
  horizon: Horizon;
}

/** The most buckets of a page, beyond those that the window and the timers of the rule need. */
export const PAGE_BUCKETS = 10_000;
/**
 * How many buckets the first additional page has. It is read if the walk and the recorded incidents do not
 * agree yet.
 */
const FIRST_PAGE = 256;

/**
 * Judges one group along its changes, page by page. It stops where the walk and the recorded incidents agree
 * (both fire, or neither does) and the change has no further effect: from there on, the walk would only find
 * what is recorded. It then continues at the next change.
 */
export class Walk {
  readonly #question: WalkQuestion;
  readonly #changes: Change[];
  readonly #lastOpened: number | null;
  /**
   * The longer of `for` and `keep_firing`. The state at an instant depends on at most this much time before
   * it.
   */
  readonly #timers: number;
  readonly #episodes: Episode[] = [];
  readonly #deferred: Episode[] = [];
  /** How many events were in the window when an episode opened, by `opened_at`. */
  readonly #observed = new Map<number, number>();
  #firstDue: number | null = null;
  #start: Start;
  #standing: Standing | null = null;
  /** Where the last page ended; null at the first page of a change. */
  #read: number | null = null;
  #pageBuckets = FIRST_PAGE;

  constructor(question: WalkQuestion) {
    const { spec, changes, incidents } = question;
    this.#question = question;
    this.#timers = Math.max(spec.forMs, spec.keepFiringMs);
    this.#changes = changes.toSorted((a, b) => a.from - b.from);
    this.#lastOpened = lastOpened(incidents);
    this.#start = this.#startAt(this.#changes[0]!.from);
  }

  /**
   * The result; null until the walk has ended. `observed`: how many events were in the window when the
   * episode opened.
   */
  get judged(): Judged<Episode & { observed: number }> | null {
    if (!this.#standing) return null;
    return {
      episodes: this.#episodes.map((e) => ({ ...e, observed: this.#observed.get(e.opened_at) ?? 0 })),
      deferred: this.#deferred,
      standing: waiting(this.#standing, this.#deferred, this.#firstDue),
    };
  }

  /** The buckets that `take` needs next: from `from` to before `to`. On the last page `to` is infinite. */
  get page(): { from: number; to: number } {
    const { spec, horizon } = this.#question;
    const { windowMs, bucketMs } = spec;
    const from = bucketOf(this.#start.at - windowMs, bucketMs);
    const most = bucketOf(this.#start.at, bucketMs) + this.#timers + PAGE_BUCKETS * bucketMs;
    const wanted =
      this.#read === null
        ? Math.max(this.#reachOf(this.#changes[0]!), this.#start.at + this.#timers + 1) + bucketMs
        : this.#read + this.#pageBuckets * bucketMs;
    const to = bucketOf(Math.min(wanted, most), bucketMs);
    return { from, to: to > horizon.openUpTo ? Number.POSITIVE_INFINITY : to };
  }

  /**
   * Walks over the page that `page` asked for.
   * @returns openings whose events were not all counted; the caller must pass the missing ones to `add`
   * @throws NeedsTimes if the counts of buckets do not decide; the walk is then as it was before the call
   */
  take(counts: WindowCounts): { at: number; edges: CutEdge[] }[] {
    const { spec, tests, horizon } = this.#question;
    const { to } = this.page;
    const found = walkStretch(
      conditionsOf(counts, tests),
      spec,
      this.#start,
      horizon,
      this.#lastOpened,
      to - 1,
    );
    const observed = found.opened.map((at) => [at, counts.countAt(at)] as const);
    for (const [at, n] of observed) this.#observed.set(at, n);
    this.#episodes.push(...found.episodes);
    this.#deferred.push(...found.deferred);
    this.#firstDue ??= found.firstDue;
    this.#standing = found.standing;
    this.#start = found.next;
    if (!this.#standing) this.#goOn(to);
    const openings = found.opened.map((at) => ({ at, edges: counts.cutEdges(at) }));
    return openings.filter(({ edges }) => edges.length > 0);
  }

  /** Adds to the number of events that were in the window when an episode opened. */
  add(openedAt: number, events: number): void {
    this.#observed.set(openedAt, this.#observed.get(openedAt)! + events);
  }

  /**
   * Decides how to continue after a page that ended before `to`: with another page, with the next change, or
   * not at all.
   *
   * It is enough that both the walk and the record fire, or neither does. Timers that are still running there
   * began after the last effect of the change, among events that were judged before. And `for` cannot have
   * begun before an episode ended, because the count was below the threshold there.
   */
  #goOn(to: number): void {
    const at = to - 1;
    const ahead = this.#changes.filter(({ from }) => from - 1 - this.#timers > at);
    const passed = this.#changes.filter((change) => !ahead.includes(change));
    const covering = this.#covering(at);
    const [next] = ahead;
    const agrees = Boolean(this.#start.firing) === Boolean(covering);
    // An incident without an end will end some time, and only the walk finds out when.
    const goesOn = !next && covering?.ended_at === null;
    if (passed.some((change) => this.#reachOf(change) > at) || goesOn || !agrees) {
      this.#pageBuckets = this.#read === null ? FIRST_PAGE : Math.min(this.#pageBuckets * 4, PAGE_BUCKETS);
      this.#read = to;
      return;
    }
    const { firing } = this.#start;
    const later = next && this.#covering(next.from - 1);
    if (next && firing && later === covering) this.#start = { ...this.#startAt(next.from), firing };
    else {
      if (firing) this.#episodes.push({ ...firing, ended_at: covering!.ended_at });
      if (next) this.#start = this.#startAt(next.from);
      else this.#standing = { state: 'ok' };
    }
    this.#read = null;
    this.#changes.splice(0, passed.length);
  }

  /** The first instant at which the change has no effect. */
  #reachOf({ to }: Change): number {
    return to + this.#question.spec.windowMs + this.#timers + 1;
  }

  /** The recorded incident that covers `at`. */
  #covering(at: number) {
    return this.#question.incidents.find(
      ({ opened_at, ended_at }) => opened_at <= at && (ended_at === null || ended_at > at),
    );
  }

  #startAt(from: number): Start {
    const { spec, effectiveAt, incidents } = this.#question;
    return startOf({ from, spec, effectiveAt, incidents });
  }
}

/** When the latest of these incidents opened, epoch ms. */
export function lastOpened(incidents: readonly Pick<IncidentOnRecord, 'opened_at'>[]): number | null {
  return incidents.reduce<number | null>(
    (last, { opened_at }) => Math.max(last ?? opened_at, opened_at),
    null,
  );
}
