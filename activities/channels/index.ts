import type { z } from 'zod';
import type { Channel } from './channel.ts';
import { email } from './email.ts';
import { slack } from './slack.ts';
import { webhook } from './webhook.ts';

/** All kinds of channels. A new one is a file beside this one, and a line here. */
export const CHANNEL_KINDS = { webhook, slack, email };

type Kind = keyof typeof CHANNEL_KINDS;
type Settings = { [K in Kind]: z.output<(typeof CHANNEL_KINDS)[K]['schema']> };

/** The settings of a channel, of any kind. */
export type ChannelSettings = Settings[Kind];

/**
 * The same table with types that the compiler checks: each entry has the name of its kind and takes that
 * kind's settings.
 */
const kinds: { [K in Kind]: { kind: K; create(settings: Settings[K], clock: () => number): Channel } } =
  CHANNEL_KINDS;

function createChannel<K extends Kind>(settings: Settings[K], clock: () => number): Channel {
  return kinds[settings.kind as K].create(settings, clock);
}

/** Creates the configured channels, in order. `clock`: epoch milliseconds. */
export function createChannels(all: readonly ChannelSettings[], clock: () => number): Channel[] {
  return all.map((settings) => createChannel(settings, clock));
}
