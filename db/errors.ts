/** SQLSTATE of the PostgreSQL error inside whatever wraps it, if there is one. */
export function sqlState(error: unknown): string | undefined {
  for (let e = error; e instanceof Error; e = e.cause) {
    const { code } = e as { code?: unknown };
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return code;
  }
  return undefined;
}

/** PostgreSQL refused the data itself (classes 22 and 23): sending it again can't help. */
export function isDataError(error: unknown): boolean {
  return /^2[23]/.test(sqlState(error) ?? '');
}

/** There is no partition for a row's day. PostgreSQL reports it as a check violation without a constraint. */
export function isMissingPartition(error: unknown): boolean {
  return sqlState(error) === '23514' && /no partition of relation/.test((error as Error).message);
}

/** PostgreSQL had no room to write (disk_full). */
export function isDiskFull(error: unknown): boolean {
  return sqlState(error) === '53100';
}

/**
 * PostgreSQL is away, busy or shutting down, or two transactions got in each other's way: what failed has
 * nothing to do with the data, and is to be tried again as it was.
 */
export function isPassing(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return /^(08|25P0|40|53|55P03|57P|58)/.test(state);
  for (let e = error; e instanceof Error; e = e.cause) {
    const { code } = e as { code?: unknown };
    if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return true;
    if (/^(Connection terminated|timeout exceeded|Client has encountered a connection error)/.test(e.message))
      return true;
  }
  return false;
}
