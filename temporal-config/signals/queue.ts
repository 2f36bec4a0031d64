/** Most workflows that one queue signals at once. */
const PARALLEL = 16;

/**
 * Sends signals, a few at once. Whoever must not wait for Temporal adds to it and goes on: with Temporal away
 * each signal takes seconds to fail. A workflow that waits already is not noted twice, so what waits is
 * bounded by their number. One queue serves its callers in turn: those who wait for its signals have one of
 * their own, so that none waits for the signals of another.
 */
export class SignalQueue {
  readonly #signal: (id: string) => Promise<void>;
  readonly #failed: (error: unknown) => void;
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();
  readonly #underWay = new Set<Promise<void>>();
  #stopping = false;

  /**
   * @param signal signals one workflow
   * @param failed hears of each that could not be signalled; the rows say that it is due, so the sweep asks
   * again
   */
  constructor(signal: (id: string) => Promise<void>, failed: (error: unknown) => void) {
    this.#signal = signal;
    this.#failed = failed;
  }

  /**
   * Notes workflows. Resolves once each of them was signalled, or could not be. Once stopped, it leaves them
   * to other sweeps.
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
   * Resolves once what waits is signalled. With the first that fails from now on the others are let go of:
   * Temporal is away.
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
