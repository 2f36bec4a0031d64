import type { z } from 'zod';
import type { RuleSettings } from '../rule.ts';
import type { Direction, Tests } from '../series.ts';

/** The longest time that any field of a rule may have, in seconds: ten years. */
export const MOST_SECONDS = 315_360_000;

/** The highest count that any field of a rule may have. */
export const MOST_COUNT = 2_147_483_647;

/** An error in a field of a rule. */
export interface Flaw {
  field: string;
  reason: string;
}

/** The window and the threshold that the reference's API shows for every rule. */
export interface ShortForm {
  threshold_count: number;
  window_seconds: number;
}

/** The two ways in which a request can give a condition. */
export interface GivenCondition<C> extends Partial<ShortForm> {
  condition?: C;
}

/**
 * A kind of rule. Each has a file beside this one, and a line in `index.ts`. `C` is the type of its
 * condition, which says when a rule fires for a group.
 */
export interface RuleKind<C extends { kind: string }> {
  readonly kind: C['kind'];
  /** The schema of the condition in requests and answers. */
  readonly schema: z.ZodType<C>;
  /** Rules of a built-in kind come with Tocsin. People can disable them, but not create or delete them. */
  readonly builtIn: boolean;
  /** Which data decides the condition. `activities/rules/readings.ts` reads it. */
  readonly reads: 'events' | 'received alerts';
  /** How further events move the value. With the direction of the tests it decides the finality of a rule. */
  readonly moreEvents: Direction;
  shortForm(condition: C): ShortForm;
  /**
   * Makes the condition that a request asks for, from the condition or its short form. A built-in kind
   * refuses.
   * @param before the condition of the rule so far, if it is of this kind
   */
  conditionFrom(given: GivenCondition<C>, before: C | null): { condition: C } | { flaw: Flaw };
  /** How long an event counts, in milliseconds; 0 for a kind that counts no events. */
  windowMs(condition: C): number;
  /** The tests that compare the value with the rule's numbers. The value is a number of events or alerts. */
  tests(condition: C, settings: RuleSettings): Tests<number>;
  /** Checks the kind's own fields against their limits. */
  flaws(condition: C): Flaw[];
  /** When a rule fires, in Markdown. */
  firesWhen(condition: C, settings: RuleSettings): string;
}
