/**
 * How often the same kind is logged at the most, in milliseconds: an overload would fill the disk with it.
 */
const EVERY_MS = 1_000;

/**
 * Logs the first of each kind, and then, once a second at the most, how many there were in between. `kind` is
 * one of a few.
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
