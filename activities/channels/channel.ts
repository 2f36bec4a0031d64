import { v5 as uuidv5 } from 'uuid';
import type { z } from 'zod';
import type { NoticeDocument } from '../../domain/incidents/notice.ts';

/** A kind of channel. Each has its own file beside this one, and a line in `index.ts`. */
export interface ChannelKind<S extends z.ZodType<{ kind: string; name: string }>> {
  readonly kind: z.output<S>['kind'];
  /** The schema of its settings in CHANNELS. */
  readonly schema: S;
  /** @param clock epoch milliseconds */
  create(settings: z.output<S>, clock: () => number): Channel;
}

/** A configured way to reach people. */
export interface Channel {
  /** The configured name. It is unique, because rows of `deliveries` contain it. */
  readonly name: string;
  readonly kind: string;
  /**
   * Sends a notice once, without retries. The promise settles soon after `signal` aborts.
   * @throws RetryableFailure if a later attempt may succeed, FinalFailure if none can. Neither contains a
   * secret.
   */
  send(notice: NoticeDocument, signal: AbortSignal): Promise<Sent>;
}

export interface Sent {
  /** The receiver's answer, without secrets. */
  detail: string;
}

/** The notice was not delivered, and a later attempt may succeed. */
export class RetryableFailure extends Error {
  override name = 'RetryableFailure';
  /** How long the receiver asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The failure of an attempt that got no answer in time. */
export const noAnswer = () => new RetryableFailure('no answer in time');

/** The notice was not delivered, and no attempt can succeed. */
export class FinalFailure extends Error {
  override name = 'FinalFailure';
}

/**
 * The id of a message (`webhook-id`, `Message-ID`). Retries have the same id, so that a receiver can drop
 * repetitions; each channel has its own.
 */
export function messageId(noticeId: string, channel: string): string {
  return uuidv5(channel, noticeId);
}
