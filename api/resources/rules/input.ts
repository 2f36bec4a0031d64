import { isDeepStrictEqual } from 'node:util';
import type { RuleInput } from '../../../db/queries/rules/changes.ts';
import { compileGroupKey } from '../../../domain/rules/group.ts';
import { type Condition, kindNamed, kindOf } from '../../../domain/rules/kinds/index.ts';
import type { ShortForm } from '../../../domain/rules/kinds/kind.ts';
import { defaultLateness, flawsOfReach, reachMs } from '../../../domain/rules/limits.ts';
import { compileMatcher, type Matcher, MatcherError } from '../../../domain/rules/matcher.ts';
import { RULE_DEFAULTS, type RuleDefinition, shortFormOf } from '../../../domain/rules/rule.ts';
import { type FieldError, Invalid } from '../../http/problem.ts';
import type { RuleGiven } from './schema.ts';

/** Makes a new rule from a request. @throws Invalid */
export function newRule(given: RuleGiven & { name: string }, retentionMs: number): RuleInput {
  return {
    name: given.name,
    enabled: given.enabled ?? true,
    definition: definitionOf(given, null, retentionMs),
    late: given.late ?? 'notify',
    incident_severity: given.incident_severity || null,
    labels: given.labels ?? {},
    annotations: given.annotations ?? {},
    sample: given.sample ?? false,
  };
}

/** Makes the changes of a rule from a request. Null and absent fields stay as they are. @throws Invalid */
export function rulePatchOf(
  given: RuleGiven,
  current: RuleDefinition,
  retentionMs: number,
): Partial<RuleInput> {
  return {
    name: given.name ?? undefined,
    enabled: given.enabled ?? undefined,
    definition: definitionOf(given, current, retentionMs),
    late: given.late ?? undefined,
    incident_severity: given.incident_severity === '' ? null : (given.incident_severity ?? undefined),
    labels: given.labels ?? undefined,
    annotations: given.annotations ?? undefined,
  };
}

function definitionOf(given: RuleGiven, current: RuleDefinition | null, retentionMs: number): RuleDefinition {
  if (current && kindOf(current.condition).builtIn) return builtInDefinitionOf(given, current);
  const base = current ?? RULE_DEFAULTS;
  const condition = conditionOf(given, current?.condition ?? null);
  const definition: RuleDefinition = {
    condition,
    event_type: cleared(given.event_type, base.event_type),
    severity: cleared(given.severity, base.severity),
    match: (given.match as Matcher[] | null | undefined) ?? base.match,
    group_by: given.group_by ?? base.group_by,
    for_seconds: given.for_seconds ?? base.for_seconds,
    keep_firing_seconds: given.keep_firing_seconds ?? base.keep_firing_seconds,
    recovery_threshold: recoveryOf(given, base, shortFormOf({ condition })),
    allowed_lateness_seconds: given.allowed_lateness_seconds ?? base.allowed_lateness_seconds,
    max_groups: given.max_groups ?? base.max_groups,
  };
  if (!current && typeof given.allowed_lateness_seconds !== 'number') {
    definition.allowed_lateness_seconds = defaultLateness(definition, retentionMs);
  }
  const errors = flaws(definition);
  // These limits are checked only if their fields change. So a rule that is older than a limit can still be
  // disabled or changed otherwise.
  if (!current || reachMs(definition) !== reachMs(current))
    errors.push(...flawsOfReach(definition, retentionMs));
  if (!current || !isDeepStrictEqual(condition, current.condition))
    errors.push(...kindOf(condition).flaws(condition));
  if (errors.length > 0) throw new Invalid(errors);
  return definition;
}

/**
 * Fields that a rule for received alerts cannot have, because the senders of the alerts decide when they
 * fire.
 */
const COUNTING = [
  ...['condition', 'threshold_count', 'window_seconds', 'event_type', 'severity', 'match', 'group_by'],
  ...['for_seconds', 'keep_firing_seconds', 'recovery_threshold', 'allowed_lateness_seconds'],
] as const;

/**
 * The definition of a built-in rule after a change. Only `max_groups` may change. Other fields may be sent
 * back with the values that were read.
 * @throws Invalid
 */
function builtInDefinitionOf(given: RuleGiven, current: RuleDefinition): RuleDefinition {
  const shown: Record<string, unknown> = { ...current, ...shortFormOf(current) };
  const changed = COUNTING.filter((field) => {
    const value = given[field] ?? null;
    return value !== null && value !== '' && value !== 0 && !isDeepStrictEqual(value, shown[field]);
  });
  if (changed.length > 0) {
    const reason = 'cannot be set: this rule is built in, and the sender of the alerts decides it';
    throw new Invalid(changed.map((field) => ({ field, reason })));
  }
  return { ...current, max_groups: given.max_groups ?? current.max_groups };
}

/**
 * The recovery threshold after a change. Zero clears it. It is lowered together with the threshold, because
 * clients of the reference do not know it.
 */
function recoveryOf(
  { recovery_threshold: given }: RuleGiven,
  { recovery_threshold: before }: Pick<RuleDefinition, 'recovery_threshold'>,
  { threshold_count }: ShortForm,
): number | null {
  if (given === 0) return null;
  return given ?? (before === null ? null : Math.min(before, threshold_count));
}

const cleared = (given: string | null | undefined, base: string | null) =>
  given === '' ? null : (given ?? base);

/** Makes the condition of a rule from a request. The short form alone means `count`. @throws Invalid */
function conditionOf(given: RuleGiven, current: Condition | null): Condition {
  const asked = given.condition ?? undefined;
  const kind = kindNamed(asked?.kind ?? current?.kind ?? 'count');
  const before = current?.kind === kind.kind ? current : null;
  const { threshold_count, window_seconds } = given;
  const made = kind.conditionFrom(
    {
      condition: asked,
      threshold_count: threshold_count ?? undefined,
      window_seconds: window_seconds ?? undefined,
    },
    before,
  );
  if ('flaw' in made) throw new Invalid([made.flaw]);
  return made.condition;
}

/** Errors that involve several fields. */
function flaws(definition: RuleDefinition): FieldError[] {
  const { recovery_threshold, match, group_by } = definition;
  const { threshold_count } = shortFormOf(definition);
  const errors: FieldError[] = [];
  const complain = (field: string, reason: string) => errors.push({ field, reason });
  if (recovery_threshold !== null && recovery_threshold > threshold_count) {
    complain('recovery_threshold', 'must not be above threshold_count');
  }
  if (new Set(group_by).size < group_by.length) complain('group_by', 'names a field twice');
  for (const [i, matcher] of match.entries()) compiles(() => compileMatcher(matcher), `match.${i}`);
  for (const [i, field] of group_by.entries()) compiles(() => compileGroupKey([field]), `group_by.${i}`);
  return errors;

  function compiles(compile: () => unknown, field: string) {
    try {
      compile();
    } catch (error) {
      if (!(error instanceof MatcherError)) throw error;
      complain(field, error.message);
    }
  }
}
