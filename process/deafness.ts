import { HOLD_AFTER_GAP_MS, RESENT_WITHIN_MS } from '../domain/rules/watermark.ts';
import type { DeafReason, DeafSpan, DeafWhose } from '../domain/system/deafness.ts';

/** Spans that a process keeps open at once; further keys are counted as the process itself. */
const MOST_OPEN = 500;

/** The longest pause told to a sender that is waited for, in milliseconds. */
const LONGEST_PAUSE_MS = 5 * 60_000;

/** Whom a refusal concerns. */
export interface Unheard {
  whose: DeafWhose;
  id: string;
  name: string;
}

type Open = DeafSpan & {
  held_until: number;
  /** Refused since the last heartbeat. */
  fresh: boolean;
  /** The longest pause that a sender was told since then, in milliseconds. */
  pause: number;
};

/**
 * What one ingest process did not hear. Noting a refusal costs a few operations in memory; the heartbeat
 * brings the spans to PostgreSQL, in the same statement as the beat, so that the watermark sees both or
 * neither.
 *
 * A span begins at the last heartbeat on record before its first refusal. The watermark is never ahead of
 * that beat, so it can't have passed what was refused. Refusals of one kind extend one span, until its
 * senders had time to come back.
 */
export class Deafness {
  readonly process: Unheard & { whose: 'process' };
  readonly #open = new Map<string, Open>();
  /** The last heartbeat that is on record, by the database's clock. */
  #beat: number | null = null;
  readonly #began = performance.now();

  constructor(role: string) {
    this.process = { whose: 'process', id: crypto.randomUUID(), name: role };
  }

  /**
   * Takes note of a refusal. Returns at once.
   * @param pause what the sender was told to wait, in milliseconds
   */
  refused(reason: DeafReason, pause = 0, unheard: Unheard = this.process): void {
    const span = this.#open.get(`${unheard.whose} ${unheard.id} ${reason}`) ?? this.#begin(reason, unheard);
    span.fresh = true;
    span.pause = Math.max(span.pause, Math.min(pause, LONGEST_PAUSE_MS));
  }

  #begin(reason: DeafReason, unheard: Unheard): Open {
    const of = this.#open.size < MOST_OPEN ? unheard : this.process;
    const key = `${of.whose} ${of.id} ${reason}`;
    const from_at = this.#beat ?? Number.NaN;
    const times = { from_at, to_at: from_at, held_until: from_at, fresh: true };
    const span = this.#open.get(key) ?? { ...of, reason, ...times, pause: 0 };
    this.#open.set(key, span);
    return span;
  }

  /** No heartbeat was on record for too long: what senders could not send meanwhile is still to come. */
  gap(): void {
    this.refused('gap');
  }

  /** Spans that changed since the last heartbeat, as of `now` (epoch ms, by the database's clock). */
  spansAt(now: number): DeafSpan[] {
    const changed: DeafSpan[] = [];
    for (const [key, span] of this.#open) {
      if (span.fresh) {
        // Refused before the first heartbeat of this process: it began to listen no earlier than it was made.
        if (Number.isNaN(span.from_at)) span.from_at = Math.floor(now - (performance.now() - this.#began));
        span.to_at = now;
        span.held_until = now + span.pause + HOLD_AFTER_GAP_MS;
        span.fresh = false;
        const { fresh: _fresh, pause: _pause, ...row } = span;
        changed.push(row);
      } else if (span.held_until + RESENT_WITHIN_MS <= now) this.#open.delete(key);
    }
    return changed;
  }

  /** The heartbeat of `now` is on record, and so are the spans that it brought. */
  recorded(now: number, spans: readonly DeafSpan[]): void {
    this.#beat = now;
    for (const { whose, id, reason } of spans) {
      const span = this.#open.get(`${whose} ${id} ${reason}`);
      if (span && !span.fresh) span.pause = 0;
    }
  }

  /** It is not known whether they are: they go with the next heartbeat. */
  unrecorded(spans: readonly DeafSpan[]): void {
    for (const { whose, id, reason } of spans) {
      const span = this.#open.get(`${whose} ${id} ${reason}`);
      if (span) span.fresh = true;
    }
  }
}
