import { z } from 'zod';
import { bytes } from '../../domain/settings.ts';

/** The settings that say where PostgreSQL's disk is, and when it counts as full. */
export const diskSettings = {
  /**
   * A path on PostgreSQL's disk, for its free space; found by itself when PostgreSQL runs on this machine.
   */
  DISK_PATH: z.string().min(1).optional(),
  /** What PostgreSQL may take in all, where no path shows its disk. */
  DISK_BYTES: bytes.optional(),
  /** Free space of that disk, in percent, below which it is told; with 50 GiB free it never is. */
  DISK_WARN_PERCENT: z.coerce.number().min(0).max(100).default(15),
  /** The same, below which no more events are taken; with 10 GiB free they always are. */
  DISK_REFUSE_PERCENT: z.coerce.number().min(0).max(100).default(5),
};
