import { z } from 'zod';
import { bytes } from '../../domain/settings.ts';

/** Settings: where PostgreSQL's disk is, and when it counts as low or full. */
export const diskSettings = {
  /**
   * A path on PostgreSQL's disk, to measure its free space. Not needed if PostgreSQL runs on this machine.
   */
  DISK_PATH: z.string().min(1).optional(),
  /** How much space PostgreSQL may use, if no path shows its disk. */
  DISK_BYTES: bytes.optional(),
  /** If less than this percentage of the disk is free, Tocsin warns; but never while 50 GiB are free. */
  DISK_WARN_PERCENT: z.coerce.number().min(0).max(100).default(15),
  /** If less than this percentage is free, Tocsin refuses events; but never while 10 GiB are free. */
  DISK_REFUSE_PERCENT: z.coerce.number().min(0).max(100).default(5),
};
