import { HOLD_AFTER_GAP_MS, RESENT_WITHIN_MS } from '../domain/rules/watermark.ts';
import type { DeafReason, DeafSpan, DeafWhose } from '../domain/system/deafness.ts';

/** How many deaf spans a process keeps open at once. Refusals of further keys count as the process's own. */
const MOST_OPEN = 500;

/** The longest pause that the watermark allows for a sender who was told to wait, in milliseconds. */
const LONGEST_PAUSE_MS = 5 * 60_000;

/** Whose events were refused. */
export interface Unheard {
  whose: DeafWhose;
  id: string;
  name: string;
}

type Open = DeafSpan & {
  held_until: number;
  /** True if something was refused since the last heartbeat. */
  fresh: boolean;
  /** The longest pause that a sender was told to make since then, in milliseconds. */
  pause: number;
};

/**
 * Collects the deaf spans of one process that receives events. Noting a refusal costs a few operations in
 * memory. The spans are written to PostgreSQL in the same statement as the heartbeat, so that the watermark
 * sees both or neither.
 *
 * A span begins at the last recorded heartbeat before its first refusal. The watermark is never ahead of that
 * heartbeat, so it has not passed the refused events. Refusals of one kind extend the same span, until the
 * senders had time to come back.
 */
export class Deafness {
  readonly process: Unheard & { whose: 'process' };
  readonly #open = new Map<string, Open>();
  /** The last recorded heartbeat, by the database's clock. */
  #beat: number | null = null;
  readonly #began = performance.now();

  constructor(role: string) {
    this.process = { whose: 'process', id: crypto.randomUUID(), name: role };
  }

  /**
   * Notes a refusal. It does not wait.
   * @param pause how long the sender was told to wait, in milliseconds
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

  /**
   * Notes that no heartbeat was recorded for too long. Events that senders could not send in that time may
   * still arrive.
   */
  gap(): void {
    this.refused('gap');
  }

  /** The spans that changed since the last heartbeat. `now` is epoch ms by the database's clock. */
  spansAt(now: number): DeafSpan[] {
    const changed: DeafSpan[] = [];
    for (const [key, span] of this.#open) {
      if (span.fresh) {
        // The refusal came before the first heartbeat of this process. Then the span begins when this object
        // was created, because the process received nothing earlier.
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

  /** Notes that the heartbeat of `now` was recorded, and with it these spans. */
  recorded(now: number, spans: readonly DeafSpan[]): void {
    this.#beat = now;
    for (const { whose, id, reason } of spans) {
      const span = this.#open.get(`${whose} ${id} ${reason}`);
      if (span && !span.fresh) span.pause = 0;
    }
  }

  /** Notes that it is unknown whether these spans were recorded. The next heartbeat sends them again. */
  unrecorded(spans: readonly DeafSpan[]): void {
    for (const { whose, id, reason } of spans) {
      const span = this.#open.get(`${whose} ${id} ${reason}`);
      if (span) span.fresh = true;
    }
  }
}
