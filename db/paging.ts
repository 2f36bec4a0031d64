/** The last row of a page: the next page has the rows that follow it. `at`: epoch ms. */
export interface After {
  at: number;
  id: string;
}

/**
 * Selects the rows that follow `after` in a list from new to old, ordered by `time` and id. MikroORM has no
 * row comparison. The first condition lets PostgreSQL start in the index where the page starts; with `or`
 * alone it reads all rows before that.
 */
export function following<Time extends string>(time: Time, after?: After) {
  if (!after) return {};
  const as = <Condition>(condition: Condition) => ({ [time]: condition }) as Record<Time, Condition>;
  const at = new Date(after.at);
  return { ...as({ $lte: at }), $or: [as({ $lt: at }), { id: { $lt: after.id } }] };
}

/** A page of a list from new to old. */
export interface PageOf {
  after?: After;
  limit: number;
}
