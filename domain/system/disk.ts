/** Room on the disk that PostgreSQL writes to, in bytes. */
export interface Space {
  free: number;
  /** Free and used together: what is reserved for root counts as neither, as `df` has it. */
  total: number;
}

/** `low` is told, `full` is refused. */
export type DiskState = 'ok' | 'low' | 'full';

/** Free space below which a disk is low, and full, in percent of the whole. 0 switches that off. */
export interface DiskLimits {
  warnPercent: number;
  refusePercent: number;
}

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/**
 * A share of a large disk is a lot: with the most of this free nothing is scarce, whatever the share. A share
 * of a small one is nothing: without the least of this PostgreSQL can stop between two looks. Measured: at 5
 * % of 700 MB it did, for want of the next 16 MB of WAL. Bytes.
 */
const WARN = { least: 512 * MIB, most: 50 * GIB };
const REFUSE = { least: 256 * MIB, most: 10 * GIB };

/** What was low stays so until there is this much more than its limit: a disk at the limit must not flap. */
const RELIEF = 1.2;

/** How a disk is, given how it was. */
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
