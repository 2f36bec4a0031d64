import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  log,
  proxyActivities,
  proxyLocalActivities,
} from '@temporalio/workflow';
import type { IncidentActivities, IncidentView } from '../../activities/incidents/index.ts';
import type { NotifyActivities } from '../../activities/incidents/notify.ts';
import {
  type Attempted,
  inOrder,
  type NoticeKind,
  notifyPlan,
  type Progress,
  pauseAfter,
} from '../../domain/incidents/notice.ts';
import { codeSpan } from '../../domain/temporal-ui/text.ts';
import { firmly } from '../firmly.ts';
import { QUEUES } from '../queues.ts';
import { FAILURES, retryPolicies } from '../retry-policies.ts';

const local = proxyLocalActivities<IncidentActivities>(retryPolicies.local);
const firm = proxyActivities<IncidentActivities>(retryPolicies.firm);
const settleDelivery = firmly(local.settleDelivery, firm.settleDelivery);
const finishNotice = firmly(local.finishNotice, firm.finishNotice);
const notifiedNobody = firmly(local.notifiedNobody, firm.notifiedNobody);

/**
 * Pauses while our own database is down and nothing can be sent, in milliseconds. They double, up to the
 * longest.
 */
const UNSENT_PAUSE_MS = { first: 1000, longest: 60_000 };

/** One notice on its way through one channel. */
export interface Delivery {
  notice_id: string;
  kind: NoticeKind;
  channel: string;
  /** The number of the next or current attempt, from 1. */
  attempt: number;
  /** When the next attempt is due, in epoch milliseconds. */
  next_at: number;
  stage: 'waiting' | 'sending' | 'settled';
  /** How many times in a row our own database prevented an attempt. */
  held_up: number;
}

/** How an attempt ended. `at`: epoch milliseconds. */
export interface LastAttempt extends Pick<Delivery, 'kind' | 'channel' | 'attempt'> {
  outcome: Attempted['outcome'];
  detail: string;
  at: number;
}

/**
 * Delivers the notices of an incident. Within a channel they go one after the other; channels do not wait for
 * each other. At the start the rows say how far each delivery is; after that this object does, so that
 * reading the rows again never sends twice.
 * @param nextAt times that an earlier run had set, by `keyOf`
 * @param inTurn false in runs that began under 0.1.0, which handle the outcome of an attempt at once
 */
export function createDeliveries(
  incident_id: string,
  { nextAt = {}, inTurn }: { nextAt?: Record<string, number>; inTurn: boolean },
) {
  const deliveries = new Map<string, Delivery>();
  const closed = new Set<string>();
  let schedule: readonly number[] = [];
  let sending = 0;
  let turns = 0;
  let failure: unknown;
  let last: LastAttempt | null = null;
  const ended: { delivery: Delivery; outcome: Attempted; at: number }[] = [];

  /**
   * Adds the notices on record. It settles those that lack only their timeline entry, and those without any
   * channel.
   */
  async function take({ notices, channels, schedule_ms }: IncidentView): Promise<void> {
    schedule = schedule_ms;
    for (const { id: notice_id, kind, progress } of inOrder(notices)) {
      if (closed.has(notice_id)) continue;
      const plan = notifyPlan(channels);
      if (plan.channels.length === 0) {
        closed.add(notice_id);
        await notifiedNobody({ incident_id, notice_id, kind });
        continue;
      }
      for (const channel of plan.channels) {
        const key = keyOf(notice_id, channel);
        if (deliveries.has(key)) continue;
        const made = progress.find((one) => one.channel === channel);
        const delivery = begin(notice_id, kind, channel, made);
        deliveries.set(key, delivery);
        if (made) await resume(delivery, made);
      }
      await finishIfSettled(notice_id);
    }
  }

  function begin(notice_id: string, kind: NoticeKind, channel: string, made?: Progress): Delivery {
    return {
      notice_id,
      kind,
      channel,
      attempt: made?.attempts ?? 1,
      next_at: 0,
      stage: 'waiting',
      held_up: 0,
    };
  }

  /** Continues a delivery after an attempt that an earlier run made. */
  async function resume(delivery: Delivery, made: Progress): Promise<void> {
    if (made.settled) {
      delivery.stage = 'settled';
      remember(delivery, made);
    } else {
      await land(delivery, { outcome: made.outcome, detail: made.detail }, made.at);
      delivery.next_at = nextAt[keyOf(delivery.notice_id, delivery.channel)] ?? delivery.next_at;
    }
  }

  function remember(
    { kind, channel, attempt }: Delivery,
    { outcome, detail, at }: Pick<LastAttempt, 'outcome' | 'detail' | 'at'>,
  ): void {
    if (last === null || at >= last.at) last = { kind, channel, attempt, outcome, detail, at };
  }

  /** Starts each attempt that is due and first in its channel. */
  function sendDue(): void {
    for (const delivery of waitingHeads()) {
      if (delivery.next_at > Date.now()) continue;
      delivery.stage = 'sending';
      sending += 1;
      void attempt(delivery)
        .catch((error: unknown) => {
          failure = error;
        })
        .finally(() => {
          sending -= 1;
          turns += 1;
        });
    }
  }

  /** The first waiting delivery of each channel, unless it is being sent. */
  function waitingHeads(): Delivery[] {
    const heads = new Map<string, Delivery>();
    for (const delivery of outstanding()) {
      if (!heads.has(delivery.channel)) heads.set(delivery.channel, delivery);
    }
    return [...heads.values()].filter(({ stage }) => stage === 'waiting');
  }

  /** All unfinished deliveries, in order. */
  function outstanding(): Delivery[] {
    return [...deliveries.values()].filter(({ stage }) => stage !== 'settled');
  }

  async function attempt(delivery: Delivery): Promise<void> {
    const { notice_id, kind, channel, attempt } = delivery;
    const { deliver } = proxyActivities<NotifyActivities>({
      ...retryPolicies.deliver,
      taskQueue: QUEUES.notify,
      summary: `${kind} through ${codeSpan(channel, 80)}, attempt ${attempt}`,
    });
    try {
      const outcome = await deliver({ incident_id, notice_id, channel, attempt });
      await end(delivery, outcome, Date.now());
    } catch (error) {
      if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
      if (error.cause instanceof ApplicationFailure && error.cause.type === FAILURES.transient) {
        delivery.next_at =
          Date.now() + Math.min(UNSENT_PAUSE_MS.first * 2 ** delivery.held_up, UNSENT_PAUSE_MS.longest);
        delivery.held_up += 1;
        delivery.stage = 'waiting';
      } else {
        // The worker died or took too long. The notice may have been sent, so this counts as an attempt.
        log.warn('a delivery has no outcome', { notice_id, channel, attempt });
        const detail = 'the attempt ended without an outcome';
        await end(delivery, { outcome: 'retry', detail }, Date.now());
      }
    }
    if (!inTurn) await finishIfSettled(notice_id);
  }

  /** Keeps the outcome of an attempt for `settleEnded`. */
  async function end(delivery: Delivery, outcome: Attempted, at: number): Promise<void> {
    if (inTurn) ended.push({ delivery, outcome, at });
    else await land(delivery, outcome, at);
  }

  /** Handles the attempts that have ended, one after the other. */
  async function settleEnded(): Promise<void> {
    for (let next = ended.shift(); next; next = ended.shift()) {
      await land(next.delivery, next.outcome, next.at);
      await finishIfSettled(next.delivery.notice_id);
    }
  }

  /**
   * Handles the outcome of an attempt made at `at`: the delivery waits for the next attempt, or is finished.
   */
  async function land(
    delivery: Delivery,
    { outcome, detail, retry_after_ms }: Attempted,
    at: number,
  ): Promise<void> {
    remember(delivery, { outcome, detail, at });
    const pause = outcome === 'retry' ? pauseAfter(delivery.attempt, schedule, retry_after_ms) : null;
    delivery.held_up = 0;
    if (pause !== null) {
      delivery.attempt += 1;
      delivery.next_at = at + pause;
      delivery.stage = 'waiting';
      return;
    }
    const { notice_id, kind, channel, attempt } = delivery;
    const ended = outcome === 'sent' ? 'sent' : 'failed';
    await settleDelivery({ incident_id, notice_id, kind, channel, attempt, outcome: ended, detail });
    delivery.stage = 'settled';
  }

  async function finishIfSettled(notice_id: string): Promise<void> {
    const open = [...deliveries.values()].some(
      (one) => one.notice_id === notice_id && one.stage !== 'settled',
    );
    if (open || closed.has(notice_id)) return;
    closed.add(notice_id);
    await finishNotice({ notice_id });
  }

  return {
    take,
    sendDue,
    settleEnded,
    /** True while an attempt is running. */
    busy: () => sending > 0 || ended.length > 0,
    outstanding,
    /** The latest attempt with a known outcome. */
    last: () => last,
    /** When the next attempt is due, in epoch milliseconds; null if none waits. */
    nextDue: () =>
      waitingHeads().reduce<number | null>((due, { next_at }) => Math.min(due ?? next_at, next_at), null),
    /** How many attempts have ended. */
    turns: () => turns,
    /** A failure that cannot be handled here (the workflow was cancelled). The caller must throw it. */
    failure: () => failure,
  };
}

export const keyOf = (noticeId: string, channel: string) => `${noticeId}/${channel}`;
