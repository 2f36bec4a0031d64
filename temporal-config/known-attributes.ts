import type { ConnectionLike } from '@temporalio/client';
import type { Logger } from 'pino';
import { searchAttributes } from './register.ts';

/** `temporal.api.enums.v1.IndexedValueType` of keywords, which all of ours are. */
const KEYWORD = 2;
/** The gRPC code for a query by an attribute that the namespace does not have. */
const INVALID_ARGUMENT = 3;
/** Time for the answer, in milliseconds. */
const DEADLINE_MS = 3000;
/**
 * How long to wait before asking again, in milliseconds, while some are missing or Temporal does not answer.
 */
const ASK_AGAIN_MS = 60_000;

/**
 * Which of our search attributes a namespace has. Others may prepare it (TEMPORAL_SETUP=skip, Temporal
 * Cloud). If one is not registered, the server refuses starts that set it, and fails tasks of workflows that
 * set it, again and again. Such attributes are left out instead.
 */
export class KnownAttributes {
  readonly #connection: ConnectionLike;
  readonly #namespace: string;
  readonly #log: Logger;
  #known: readonly string[] = [];
  #askAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;
  /** The missing ones that the last warning named. */
  #told = '';

  constructor({
    connection,
    namespace,
    log,
  }: {
    connection: ConnectionLike;
    namespace: string;
    log: Logger;
  }) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#log = log;
  }

  /** The names of those that the namespace has, as far as Temporal has answered. */
  async names(): Promise<readonly string[]> {
    if (performance.now() >= this.#askAt) {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = undefined;
      });
      await this.#asking;
    }
    return this.#known;
  }

  async #ask(): Promise<void> {
    const ours = Object.keys(searchAttributes);
    try {
      this.#known = await this.#connection.withDeadline(
        Date.now() + DEADLINE_MS,
        async () => (await this.#listed(ours)) ?? (await this.#tried(ours)),
      );
    } catch (error) {
      this.#askAt = performance.now() + ASK_AGAIN_MS;
      this.#log.warn(
        { err: error },
        'could not ask Temporal for its search attributes; workflows are started without them',
      );
      return;
    }
    const missing = ours.filter((name) => !this.#known.includes(name));
    this.#askAt = missing.length > 0 ? performance.now() + ASK_AGAIN_MS : Number.POSITIVE_INFINITY;
    if (missing.length > 0 && missing.join() !== this.#told) {
      const namespace = this.#namespace;
      this.#told = missing.join();
      this.#log.warn(
        { namespace, missing },
        'the Temporal namespace lacks search attributes; workflows run without them',
      );
    }
  }

  /** Null if the call fails: our credentials may not allow it. */
  async #listed(ours: readonly string[]): Promise<string[] | null> {
    try {
      const { customAttributes } = await this.#connection.operatorService.listSearchAttributes({
        namespace: this.#namespace,
      });
      return ours.filter((name) => Number(customAttributes?.[name]) === KEYWORD);
    } catch {
      return null;
    }
  }

  /**
   * Counts workflows by each attribute, which everybody who may list workflows is allowed to do. One after
   * the other, because the server limits the rate of such calls.
   */
  async #tried(ours: readonly string[]): Promise<string[]> {
    const known: string[] = [];
    for (const name of ours) {
      try {
        await this.#connection.workflowService.countWorkflowExecutions({
          ...{ namespace: this.#namespace, query: `${name} = 'none'` },
        });
        known.push(name);
      } catch (error) {
        if ((error as { code?: unknown }).code !== INVALID_ARGUMENT) throw error;
      }
    }
    return known;
  }
}
