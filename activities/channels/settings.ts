import { z } from 'zod';
import { CHANNEL_KINDS, type ChannelSettings } from './index.ts';

const [first, ...others] = Object.values(CHANNEL_KINDS).map(({ schema }) => schema);
const channelList = z.array(z.discriminatedUnion('kind', [first!, ...others]));

/** The setting CHANNELS: a JSON list with the settings of each channel. */
export const channelsSetting = z
  .string()
  .default('[]')
  .transform((text, context): ChannelSettings[] => {
    const refuse = (message: string) => {
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    };
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return refuse('must be a JSON list of channels');
    }
    const channels = channelList.safeParse(json);
    if (!channels.success) {
      const [issue] = channels.error.issues;
      return refuse(`${issue?.path.join('.')}: ${issue?.message}`);
    }
    const names = new Set(channels.data.map(({ name }) => name));
    if (names.size < channels.data.length) return refuse('two channels have the same name');
    return channels.data;
  });
