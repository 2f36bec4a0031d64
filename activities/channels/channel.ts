import { v5 as uuidv5 } from 'uuid';
import type { z } from 'zod';
import type { NoticeDocument } from '../../domain/incidents/notice.ts';

/** A kind of channel: one file each, beside this one, and a line in `index.ts`. */
export interface ChannelKind<S extends z.ZodType<{ kind: string; name: string }>> {
  readonly kind: z.output<S>['kind'];
  /** Its settings in CHANNELS. */
  readonly schema: S;
  /** @param clock epoch milliseconds */
  create(settings: z.output<S>, clock: () => number): Channel;
}

/** A configured way to reach people. */
export interface Channel {
  /** As configured. Unique: `deliveries` rows have it. */
  readonly name: string;
  readonly kind: string;
  /**
   * Sends once and doesn't retry. The promise settles soon after `signal` aborts.
   * @throws RetryableFailure when a later attempt may do better, FinalFailure when none can. Neither tells a
   * secret.
   */
  send(notice: NoticeDocument, signal: AbortSignal): Promise<Sent>;
}

export interface Sent {
  /** What the other side answered, without secrets. */
  detail: string;
}

/** Not delivered, and worth another attempt. */
export class RetryableFailure extends Error {
  override name = 'RetryableFailure';
  /** The other side asked to be left alone this long, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The failure of an attempt that got no answer in time. */
export const noAnswer = () => new RetryableFailure('no answer in time');

/** Not delivered, and no attempt ever will be. */
export class FinalFailure extends Error {
  override name = 'FinalFailure';
}

/**
 * What a message calls itself (`webhook-id`, `Message-ID`): the same over retries, so that a receiver can
 * drop what it has; another one for each channel.
 */
export function messageId(noticeId: string, channel: string): string {
  return uuidv5(channel, noticeId);
}
