import type { ConnectionLike } from '@temporalio/client';
import type { Logger } from 'pino';
import { searchAttributes } from './register.ts';

/** `temporal.api.enums.v1.IndexedValueType` of keywords. All of our attributes are keywords. */
const KEYWORD = 2;
/** The gRPC code for a query by an attribute that the namespace lacks. */
const INVALID_ARGUMENT = 3;
/** How long to wait for the answer, in milliseconds. */
const DEADLINE_MS = 3000;
/**
 * How long to wait before asking again while attributes are missing or Temporal does not answer, in
 * milliseconds.
 */
const ASK_AGAIN_MS = 60_000;

/**
 * Finds out which of our search attributes a namespace has. Others may prepare the namespace
 * (TEMPORAL_SETUP=skip, Temporal Cloud). If an attribute is missing, the server refuses to start workflows
 * that set it, and fails the tasks of running ones again and again. So missing attributes are not set.
 */
export class KnownAttributes {
  readonly #connection: ConnectionLike;
  readonly #namespace: string;
  readonly #log: Logger;
  #known: readonly string[] = [];
  #askAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;
  /** The missing attributes that the last warning named. */
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

  /** The names of the attributes that the namespace has, as far as Temporal answered. */
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

  /** Lists the attributes. Null if the call fails, for example because our credentials do not allow it. */
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
   * Finds the attributes by counting workflows with each, which needs no special rights. The calls run one
   * after the other, because the server limits their rate.
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
