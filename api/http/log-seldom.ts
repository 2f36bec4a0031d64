/**
 * How often one kind of message is logged at most, in milliseconds, so that an overload does not fill the
 * disk.
 */
const EVERY_MS = 1_000;

/**
 * Makes a log function that limits repetition. It logs the first message of each kind, and after that at most
 * once a second how many came. `kind` must be one of few values.
 */
export function seldom(log: (fields: object, message: string) => void, everyMs = EVERY_MS) {
  const kinds = new Map<string, { at: number; silent: number }>();
  return (kind: string, fields: object, message: string) => {
    const now = performance.now();
    const last = kinds.get(kind);
    if (last && now - last.at < everyMs) {
      last.silent++;
      return;
    }
    log(last?.silent ? { ...fields, also: last.silent } : fields, message);
    kinds.set(kind, { at: now, silent: 0 });
  };
}
