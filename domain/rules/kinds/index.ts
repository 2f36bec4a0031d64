import { z } from 'zod';
import { count } from './count.ts';
import type { RuleKind } from './kind.ts';
import { received } from './received.ts';

/** All kinds of rules. A new kind is a file and a line here; the compiler then names what else is missing. */
const KINDS = tableOf({ count, received });

type Kinds = typeof KINDS;

/** The condition under which a rule fires for a group. */
export type Condition = z.output<Schema>;

/** The kind of a condition. */
export const kindOf = ({ kind }: Condition): RuleKind<Condition> => kindNamed(kind);

export function kindNamed(name: Condition['kind']): RuleKind<Condition> {
  return KINDS[name] as unknown as RuleKind<Condition>;
}

/** Conditions of every kind, in requests and answers. */
export const conditionSchema = z.discriminatedUnion(
  'kind',
  Object.values(KINDS).map(({ schema }) => schema) as unknown as [Schema, ...Schema[]],
);

type Schema = Kinds[keyof Kinds]['schema'];

/** Refuses at compile time a line whose name is not the name of its kind. */
function tableOf<T extends { readonly [K in keyof T]: { readonly kind: K } }>(kinds: T): T {
  return kinds;
}
