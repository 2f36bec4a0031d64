import { z } from 'zod';
import { partsOf } from '../../../../db/queries/events/tail.ts';

/**
 * How far a listener has come. It has everything that was committed at `since`; of what was committed from
 * then to `until`, it has what comes up to `after`, by transaction and id. Snapshots rather than times or
 * numbers: transactions end in another order than they began in, and what was numbered first may be seen
 * last.
 */
export interface TailCursor {
  /** When `since` was taken, epoch ms. */
  at: number;
  since: string;
  within: { until: string; xid: string; id: string } | null;
}

/** As `Last-Event-ID` has it: `at/since`, or `at/since/until/xid/id`. */
export function writeCursor({ at, since, within }: TailCursor): string {
  return [at, since, ...(within ? [within.until, within.xid, within.id] : [])].join('/');
}

/** Null for what this API didn't give out. */
export function readCursor(text: string): TailCursor | null {
  const [at = '', since = '', until, xid = '', id = '', ...more] = text.split('/');
  if (!/^\d{1,15}$/.test(at) || !isSnapshot(since) || more.length > 0) return null;
  if (until === undefined) return { at: Number(at), since, within: null };
  if (!isSnapshot(until) || !isXid(xid) || !z.guid().safeParse(id).success) return null;
  return { at: Number(at), since, within: { until, xid, id } };
}

/** PostgreSQL refuses snapshots whose numbers are out of order. */
function isSnapshot(text: string): boolean {
  if (!/^\d+:\d+:[\d,]*$/.test(text)) return false;
  const { xmin, xmax, running } = partsOf(text);
  const order = [...running, xmax];
  return (
    [xmin, ...order].every(isXid) &&
    BigInt(xmin) <= BigInt(order[0]!) &&
    order.every((xid, i) => i === 0 || BigInt(order[i - 1]!) < BigInt(xid))
  );
}

const isXid = (text: string) => /^\d{1,19}$/.test(text) && BigInt(text) > 0n && BigInt(text) < 2n ** 63n;
