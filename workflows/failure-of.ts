import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import type { Event } from '../domain/events/event.ts';
import { FAILURES } from './retry-policies.ts';

function* chain(error: unknown): Generator<Error> {
  for (let e = error; e instanceof Error; e = e.cause) yield e;
}

/** The kind of failure (retry-policies.ts) with which an activity ended. A time-out counts as transient. */
export function kindOf(error: unknown): string {
  for (const e of chain(error)) if (e instanceof ApplicationFailure) return e.type ?? FAILURES.transient;
  return FAILURES.transient;
}

/** The message of the original failure. */
export function reasonOf(error: unknown): string {
  let reason = String(error);
  for (const e of chain(error)) {
    if (e instanceof ActivityFailure) continue;
    reason = e.message;
    if (e instanceof ApplicationFailure) break;
  }
  return reason.slice(0, 500);
}

/**
 * The events of a check that could not be stored. They are in the details of the failure, or in the last
 * heartbeat.
 */
export function eventsIn(error: unknown): Event[] | undefined {
  for (const e of chain(error)) {
    const carried = e instanceof ApplicationFailure ? e.details?.[0] : undefined;
    if (Array.isArray(carried)) return carried as Event[];
    if (e instanceof TimeoutFailure && Array.isArray(e.lastHeartbeatDetails)) {
      return e.lastHeartbeatDetails as Event[];
    }
  }
  return undefined;
}
