import { z } from 'zod';
import { partsOf } from '../../../../db/queries/events/tail.ts';

/**
 * The position of a listener. The listener has every event that was committed when snapshot `since` was
 * taken. Of the events committed between `since` and `until`, it has those up to `after`, in the order of
 * transaction and id. Times or numbers would not do: transactions do not commit in the order in which they
 * begin, so an earlier number can appear later.
 */
export interface TailCursor {
  /** When snapshot `since` was taken, in epoch ms. */
  at: number;
  since: string;
  within: { until: string; xid: string; id: string } | null;
}

/** Writes a cursor as `Last-Event-ID`: `at/since`, or `at/since/until/xid/id`. */
export function writeCursor({ at, since, within }: TailCursor): string {
  return [at, since, ...(within ? [within.until, within.xid, within.id] : [])].join('/');
}

/** Parses a cursor; null if it was not written by this API. */
export function readCursor(text: string): TailCursor | null {
  const [at = '', since = '', until, xid = '', id = '', ...more] = text.split('/');
  if (!/^\d{1,15}$/.test(at) || !isSnapshot(since) || more.length > 0) return null;
  if (until === undefined) return { at: Number(at), since, within: null };
  if (!isSnapshot(until) || !isXid(xid) || !z.guid().safeParse(id).success) return null;
  return { at: Number(at), since, within: { until, xid, id } };
}

/** Checks a snapshot's form. PostgreSQL fails on snapshots whose numbers are out of order. */
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
