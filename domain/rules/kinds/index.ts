import { z } from 'zod';
import { count } from './count.ts';
import type { RuleKind } from './kind.ts';
import { received } from './received.ts';

/** All kinds of rules. A new kind is a file and a line here; the compiler then names what else is missing. */
const KINDS = { count, received };

type Kinds = typeof KINDS;

/** The condition under which a rule fires for a group. */
export type Condition = z.output<Schema>;

/** The kind of a condition. */
export function kindOf({ kind }: Condition): RuleKind<Condition> {
  return KINDS[kind] as unknown as RuleKind<Condition>;
}

/** Conditions of every kind, in requests and answers. */
export const conditionSchema = z.discriminatedUnion(
  'kind',
  Object.values(KINDS).map(({ schema }) => schema) as unknown as [Schema, ...Schema[]],
);

type Schema = Kinds[keyof Kinds]['schema'];
