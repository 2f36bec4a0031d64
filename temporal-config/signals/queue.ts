/** How many workflows one queue signals at the same time. */
const PARALLEL = 16;

/**
 * Sends signals, a few at a time. A caller that must not wait for Temporal adds ids and continues, because
 * each signal takes seconds to fail while Temporal is down. An id that waits already is not added twice, so
 * the queue cannot grow without limit. Callers that do wait share a queue with nobody: they would otherwise
 * wait for each other's signals.
 */
export class SignalQueue {
  readonly #signal: (id: string) => Promise<void>;
  readonly #failed: (error: unknown) => void;
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();
  readonly #underWay = new Set<Promise<void>>();
  #stopping = false;

  /**
   * @param signal signals one workflow
   * @param failed gets each failure; the rows still say what is due, so the sweep signals again
   */
  constructor(signal: (id: string) => Promise<void>, failed: (error: unknown) => void) {
    this.#signal = signal;
    this.#failed = failed;
  }

  /**
   * Adds ids, and resolves once each was signalled or failed. After a stop the ids are ignored; the sweep of
   * another process signals them.
   */
  async add(ids: Iterable<string>): Promise<void> {
    if (this.#stopping) return;
    const tried = [...ids].map((id) => {
      const waiting = this.#waiting.get(id) ?? Promise.withResolvers<void>();
      this.#waiting.set(id, waiting);
      return waiting.promise;
    });
    this.#pump();
    await Promise.all(tried);
  }

  /**
   * Resolves once all waiting ids are signalled. After the first failure from now on the rest is dropped,
   * because Temporal is down.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #letGo(): void {
    for (const { resolve } of this.#waiting.values()) resolve();
    this.#waiting.clear();
  }

  #pump(): void {
    for (const [id, { resolve }] of this.#waiting) {
      if (this.#underWay.size >= PARALLEL) return;
      this.#waiting.delete(id);
      const work = this.#signal(id)
        .catch((error: unknown) => {
          if (this.#stopping) this.#letGo();
          this.#failed(error);
        })
        .finally(() => {
          this.#underWay.delete(work);
          resolve();
          this.#pump();
        });
      this.#underWay.add(work);
    }
  }
}
