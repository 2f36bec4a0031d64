import { ApplicationFailure } from '@temporalio/common';
import { condition } from '@temporalio/workflow';
import { DEAD_LETTER_SCHEDULE_MS } from '../../domain/dead-letters/dead-letter.ts';
import { aboutDeadLetters, type DeadLetterStanding } from '../../domain/temporal-ui/about.ts';
import { codeSpan } from '../../domain/temporal-ui/text.ts';
import type { DeadLetterInput, DeadLetterStatus, HeldBatch } from '../messages.ts';
import { FAILURES } from '../retry-policies.ts';
import { Shown, until } from '../shown.ts';

/**
 * How many batches the workflow holds that are not in PostgreSQL yet. History and memory are limited, and the
 * producer can wait.
 */
const MOST_UNRECORDED = 200;
/** How many batches one activity stores: about 100 KB. */
const RECORDED_AT_ONCE = 50;
/** How many stored letters are retried automatically. Further ones wait for a person. */
const MOST_RETRYING = 1000;

/** The batches that a dead-letter workflow holds, and when stored letters are retried. */
export class HeldLetters {
  readonly #unrecorded: HeldBatch[];
  #retrying: { id: string; retries: number; next_at: number }[];
  #lastFailure: string | null;
  #changes = 0;
  readonly #sourceId: string;
  readonly #shown = new Shown();
  /** Letters whose retry waits for the ingest queue or is running. */
  readonly #underWay = new Set<string>();

  constructor(sourceId: string, resume: DeadLetterInput['resume']) {
    this.#sourceId = sourceId;
    this.#lastFailure = resume?.last_failure ?? null;
    this.#unrecorded = resume?.unrecorded ?? [];
    this.#retrying = resume?.retrying ?? [];
  }

  get empty(): boolean {
    return this.#unrecorded.length === 0 && this.#retrying.length === 0;
  }

  changed(): void {
    this.#changes += 1;
  }

  /** Checks that there is room for another batch. One that is held already is always accepted. */
  requireRoom(id: string): void {
    if (this.#unrecorded.length < MOST_UNRECORDED || this.#holds(id)) return;
    throw ApplicationFailure.nonRetryable(
      `${MOST_UNRECORDED} batches wait to be recorded, which is as many as are held`,
      FAILURES.rejected,
    );
  }

  add(held: HeldBatch): void {
    if (this.#holds(held.id) || this.#retrying.some(({ id }) => id === held.id)) return;
    this.#unrecorded.push(held);
    this.#lastFailure = codeSpan(held.reason, 300);
    this.#changes += 1;
  }

  toRecord(): HeldBatch[] {
    return this.#unrecorded.slice(0, RECORDED_AT_ONCE);
  }

  /** Notes that batches are stored now. Those with a transient failure will be retried. */
  recorded(held: readonly HeldBatch[], now: number): void {
    this.#unrecorded.splice(0, held.length);
    for (const { id, failure } of held) {
      if (failure !== FAILURES.transient || this.#retrying.length >= MOST_RETRYING) continue;
      this.#retrying.push({ id, retries: 0, next_at: now + DEAD_LETTER_SCHEDULE_MS[0]! });
    }
  }

  /** The letters whose retry is due, without those being retried. */
  dueAt(now: number): string[] {
    return this.#resting().flatMap(({ id, next_at }) => (next_at <= now ? [id] : []));
  }

  /** How many more retries may begin if `most` may run at once. */
  room(most: number): number {
    return Math.max(0, most - this.#underWay.size);
  }

  begun(id: string): void {
    this.#underWay.add(id);
  }

  ended(id: string): void {
    this.#underWay.delete(id);
    this.#changes += 1;
  }

  /**
   * Notes the outcome of retries. Failed letters are retried later, as long as the schedule lasts; the others
   * are done.
   */
  retried(tried: readonly string[], failed: readonly string[], now: number): void {
    this.settled(tried.filter((id) => !failed.includes(id)));
    for (const letter of this.#retrying) {
      if (!failed.includes(letter.id)) continue;
      letter.retries += 1;
      letter.next_at = now + (DEAD_LETTER_SCHEDULE_MS[letter.retries] ?? Number.NaN);
    }
    this.#retrying = this.#retrying.filter(({ next_at }) => !Number.isNaN(next_at));
  }

  settled(ids: readonly string[]): void {
    const done = new Set(ids);
    this.#retrying = this.#retrying.filter(({ id }) => !done.has(id));
    this.#changes += 1;
  }

  /**
   * Sleeps until a retry is due or a batch arrives. If `full`, no retry may begin: it sleeps until one ends
   * or a batch arrives.
   */
  async untilDue(full = false): Promise<void> {
    const seen = this.#changes;
    const changed = () => this.#changes !== seen;
    const next = full ? Infinity : Math.min(...this.#resting().map(({ next_at }) => next_at));
    if (next === Infinity) await condition(changed);
    else await until(changed, next - Date.now(), 'Next retry');
  }

  status(): DeadLetterStatus {
    return {
      unrecorded: this.#unrecorded.length,
      retrying: this.#retrying.length,
      next_retry_at: this.#retrying.length > 0 ? Math.min(...this.#retrying.map((r) => r.next_at)) : null,
    };
  }

  resume(): DeadLetterInput['resume'] {
    const last = this.#lastFailure;
    return {
      ...{ unrecorded: this.#unrecorded, retrying: this.#retrying },
      ...(last === null ? {} : { last_failure: last }),
    };
  }

  /** Updates what the Temporal Web UI shows. */
  describe(): void {
    const { unrecorded, retrying, next_retry_at } = this.status();
    const state: DeadLetterStanding = unrecorded > 0 ? 'holding' : retrying > 0 ? 'retrying' : 'settled';
    const next = next_retry_at === null ? '' : `, next at ${new Date(next_retry_at).toISOString()}`;
    const waiting = {
      holding: `**Holding** ${unrecorded} batches that PostgreSQL does not have yet.`,
      retrying: `**Retrying**: waits for the next retry${next}, or until somebody redrives or discards them.`,
      settled: '**Settled**: PostgreSQL has all of them, and none is retried automatically.',
    }[state];
    const lines = [
      ...(unrecorded > 0 && retrying > 0 ? [`- ${retrying} on record are retried${next}`] : []),
      ...(state === 'retrying' ? [`- ${retrying} batches on record are retried`] : []),
      ...(this.#lastFailure === null ? [] : [`- Last failure: ${this.#lastFailure}`]),
    ];
    this.#shown.upsert(aboutDeadLetters(this.#sourceId, state));
    this.#shown.setDetails([waiting, ...(lines.length > 0 ? [lines.join('\n')] : [])]);
  }

  #resting() {
    return this.#retrying.filter(({ id }) => !this.#underWay.has(id));
  }

  #holds(id: string): boolean {
    return this.#unrecorded.some((held) => held.id === id);
  }
}
