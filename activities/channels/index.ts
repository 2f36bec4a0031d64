import type { Channel } from './channel.ts';
import { emailChannel } from './email.ts';
import type { ChannelConfig } from './settings.ts';
import { slackChannel } from './slack.ts';
import { webhookChannel } from './webhook.ts';

/** The configured channels, in their order. `clock` in epoch milliseconds. */
export function createChannels(configs: readonly ChannelConfig[], clock: () => number): Channel[] {
  return configs.map((config) => createChannel(config, clock));
}

function createChannel(config: ChannelConfig, clock: () => number): Channel {
  switch (config.kind) {
    case 'webhook':
      return webhookChannel(config, clock);
    case 'slack':
      return slackChannel(config, clock);
    case 'email':
      return emailChannel(config);
  }
}
