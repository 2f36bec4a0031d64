import type { Client } from '@temporalio/client';

/**
 * How long Temporal may take to answer one call, in milliseconds. Without a limit, a server that hangs would
 * block the caller for ever.
 */
const ANSWER_MS = 10_000;

/** Makes one call of Temporal. @throws when it does not answer within `ms` milliseconds */
export function askTemporal<T>(client: Client, call: () => Promise<T>, ms = ANSWER_MS): Promise<T> {
  return client.withDeadline(Date.now() + ms, call);
}
