import { heartbeat } from '@temporalio/activity';

const EVERY_MS = 10_000;

/** Runs long work of an activity and heartbeats by the clock: one slow statement is no reason to start it a second time. */
export async function heartbeating<T>(work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => heartbeat(), EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
