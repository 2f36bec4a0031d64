/** The space on PostgreSQL's disk, in bytes. */
export interface Space {
  free: number;
  /** Free plus used space. Space reserved for root is in neither, as in `df`. */
  total: number;
}

/** `low`: people are told. `full`: events are refused. */
export type DiskState = 'ok' | 'low' | 'full';

/** Percentages of free space below which a disk is low or full. 0 switches the limit off. */
export interface DiskLimits {
  warnPercent: number;
  refusePercent: number;
}

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/**
 * Bounds for the percentages, in bytes. On large disks percentages mislead: above `most` free bytes, the disk
 * is always OK. On small disks they are too little: below `least` free bytes, PostgreSQL can stop between two
 * measurements. That happened at 5 % of 700 MB, when the next 16 MB of WAL did not fit.
 */
const WARN = { least: 512 * MIB, most: 50 * GIB };
const REFUSE = { least: 256 * MIB, most: 10 * GIB };

/**
 * A disk that was low stays low until the free space is this factor above the limit, so that the state does
 * not flap.
 */
const RELIEF = 1.2;

/** Decides the state of a disk, given its previous state. */
export function judgeDisk(
  { free, total }: Space,
  { warnPercent, refusePercent }: DiskLimits,
  before: DiskState,
): DiskState {
  const below = (percent: number, { least, most }: typeof WARN, already: boolean) =>
    percent > 0 && free < Math.min(Math.max((total * percent) / 100, least), most) * (already ? RELIEF : 1);
  if (below(refusePercent, REFUSE, before === 'full')) return 'full';
  if (below(warnPercent, WARN, before !== 'ok')) return 'low';
  return 'ok';
}
