/**
 * Waits for `work` until `limit`: so many milliseconds, or until a signal aborts. The work itself continues.
 * @throws the error that `tooLate` makes if the limit passes first
 */
export async function within<T>(
  limit: number | AbortSignal,
  work: Promise<T>,
  tooLate = () => new Error(typeof limit === 'number' ? `no answer within ${limit} ms` : 'no answer in time'),
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const stop = () => late.reject(tooLate());
  const timer = typeof limit === 'number' ? setTimeout(stop, limit) : undefined;
  const signal = typeof limit === 'number' ? undefined : limit;
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}
