import { z } from 'zod';
import { parseNetwork } from './network.ts';
import { PRIVATE_NETWORKS } from './producers/probe-address.ts';

/** A whole number, in the text of a setting. */
export const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** Bytes, also as 500MB, 20GiB or 1.5T: by 1024, however it is written. */
export const bytes = z
  .string()
  .regex(/^\d+(\.\d+)?\s*([kmgt]i?)?b?$/i, 'must be a number of bytes, such as 20GiB')
  .transform((text) => {
    const [, number, unit = ''] = /^([\d.]+)\s*([kmgt]?)/i.exec(text)!;
    return Math.round(Number(number) * 1024 ** ' kmgt'.indexOf(unit.toLowerCase() || ' '));
  });

/**
 * Addresses and networks, separated by commas. `private` stands for those that people have for themselves.
 */
export const networks = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(/[\s,]+/)
      .filter(Boolean)
      .flatMap((word) => (word === 'private' ? PRIVATE_NETWORKS : [word])),
  )
  .refine((list) => list.every((text) => parseNetwork(text) !== null), {
    error: 'must be addresses and networks (10.0.0.0/8), separated by commas',
  });
