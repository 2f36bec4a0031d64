/** The SQLSTATE of the PostgreSQL error inside any wrappers; undefined if there is none. */
export function sqlState(error: unknown): string | undefined {
  for (let e = error; e instanceof Error; e = e.cause) {
    const { code } = e as { code?: unknown };
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return code;
  }
  return undefined;
}

/** True if PostgreSQL refused the data (classes 22 and 23), so that repeating cannot help. */
export function isDataError(error: unknown): boolean {
  return /^2[23]/.test(sqlState(error) ?? '');
}

/**
 * True if a row's day has no partition. PostgreSQL reports that as a check violation without a constraint.
 */
export function isMissingPartition(error: unknown): boolean {
  return sqlState(error) === '23514' && /no partition of relation/.test((error as Error).message);
}

/** True if PostgreSQL's disk was full (disk_full). */
export function isDiskFull(error: unknown): boolean {
  return sqlState(error) === '53100';
}

/**
 * True if the failure does not concern the data, so that the same work may be repeated: PostgreSQL is down,
 * busy or shutting down, or two transactions conflicted.
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
