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

const GIB = 2 ** 30;

/** A share of a large disk is a lot: with this much free nothing is scarce, whatever the share. Bytes. */
const PLENTY = { warn: 50 * GIB, refuse: 10 * GIB };

/** What was low stays so until there is this much more than its limit: a disk at the limit must not flap. */
const RELIEF = 1.2;

/** How a disk is, given how it was. */
export function judgeDisk(
  { free, total }: Space,
  { warnPercent, refusePercent }: DiskLimits,
  before: DiskState,
): DiskState {
  const below = (percent: number, plenty: number, already: boolean) =>
    free < Math.min((total * percent) / 100, plenty) * (already ? RELIEF : 1);
  if (below(refusePercent, PLENTY.refuse, before === 'full')) return 'full';
  if (below(warnPercent, PLENTY.warn, before !== 'ok')) return 'low';
  return 'ok';
}
