import { receiver } from '../../incidents/channels/receiver.ts';
import type { Closing } from './stage.ts';

/** Starts a server that records the requests which a channel sends. */
export async function openReceiver(closing: Closing, ...reply: Parameters<typeof receiver>) {
  const hook = await receiver(...reply);
  closing.defer(() => hook.close());
  return hook;
}
