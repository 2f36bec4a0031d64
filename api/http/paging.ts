import { z } from 'zod';

/**
 * The position after the last row of a page: its time (epoch ms) and id. Lists are sorted from new to old,
 * and by id within a millisecond.
 */
export interface Cursor {
  at: number;
  id: string;
}

const FORM = /^(\d{1,15})_([0-9a-f-]{36})$/;

/** The parameter `cursor`. Its format is private: clients take it from links. */
export const cursorParameter = z
  .string()
  .max(100)
  .transform((text, context): Cursor => {
    const [, at, id] = FORM.exec(Buffer.from(text, 'base64url').toString()) ?? [];
    if (at && id && z.guid().safeParse(id).success && Number(at) <= 8.64e15) return { at: Number(at), id };
    context.addIssue({ code: 'custom', message: 'is not a cursor from a Link header of this API' });
    return z.NEVER;
  })
  .optional()
  .meta({
    description: 'Where the next page begins. Take it from the `Link` header.',
    override: { type: 'string' },
  });

export const linkHeader = {
  Link: { description: 'Address of the next page, with `rel="next"` (RFC 8288); absent on the last page' },
};

/**
 * Cuts one page from rows. The caller must query one row more than `limit`; if it is there, the answer links
 * to the next page. `search` is the query string of this page. `offset` is dropped from the link, because the
 * rows skip it already.
 */
export function page<T>(
  rows: readonly T[],
  limit: number,
  cursorOf: (row: T) => Cursor,
  { path, search }: { path: string; search: URLSearchParams },
): { rows: T[]; headers: Record<string, string> } {
  if (rows.length <= limit) return { rows: [...rows], headers: {} };
  const kept = rows.slice(0, limit);
  return { rows: kept, headers: { Link: linkTo(cursorOf(kept.at(-1)!), { path, search }) } };
}

/** Makes the link to the rows after a position, skipping `offset` more. */
export function linkTo(
  { at, id }: Cursor,
  { path, search }: { path: string; search: URLSearchParams },
  offset = 0,
): string {
  const next = new URLSearchParams(search);
  next.delete('offset');
  if (offset > 0) next.set('offset', String(offset));
  next.set('cursor', Buffer.from(`${at}_${id}`).toString('base64url'));
  return `<${path}?${next}>; rel="next"`;
}
