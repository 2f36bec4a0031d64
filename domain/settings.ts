import { z } from 'zod';
import { parseNetwork } from './network.ts';
import { PRIVATE_NETWORKS } from './producers/probe-address.ts';

/** A setting that is a whole number. */
export const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** A number of bytes, also as 500MB, 20GiB or 1.5T. Units are always powers of 1024. */
export const bytes = z
  .string()
  .regex(/^\d+(\.\d+)?\s*([kmgt]i?)?b?$/i, 'must be a number of bytes, such as 20GiB')
  .transform((text) => {
    const [, number, unit = ''] = /^([\d.]+)\s*([kmgt]?)/i.exec(text)!;
    return Math.round(Number(number) * 1024 ** ' kmgt'.indexOf(unit.toLowerCase() || ' '));
  });

/** Addresses and networks, separated by commas. `private` stands for all private networks. */
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
