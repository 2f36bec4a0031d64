import { z } from 'zod';
import { conditionSchema } from '../../../domain/rules/kinds/index.ts';
import { MOST_COUNT, MOST_SECONDS } from '../../../domain/rules/kinds/kind.ts';
import { MATCH_OPERATORS, type Matcher } from '../../../domain/rules/matcher.ts';
import { plainText, time } from '../../http/parameters.ts';

const seconds = (min: number) => z.int().min(min).max(MOST_SECONDS);
const field = z
  .string()
  .min(1)
  .max(200)
  .meta({ description: '`event_type`, `severity`, `source_id`, `event_id` or `payload.<path>`' });
const texts = z.record(z.string().min(1).max(64), z.string().max(1000)).superRefine((map, context) => {
  if (Object.keys(map).length > 32)
    context.addIssue({ code: 'custom', message: 'must have at most 32 entries' });
});
const scalar = z.union([z.string().max(1000), z.number(), z.boolean()]);

const matcher = z
  .object({
    field,
    op: z.enum(MATCH_OPERATORS),
    value: z
      .union([scalar, z.array(scalar).max(1000)])
      .optional()
      .meta({
        description:
          '`in` takes a list of strings, numbers or booleans; `>` and `<` take a number; `=~` and `!~` take an RE2 pattern, anchored at both ends; `exists` takes a boolean. The other operators take a string, number or boolean.',
      }),
  })
  .meta({ id: 'Matcher', description: 'One test of one field. An event must pass all tests of a rule.' });

const thresholdCount = z.int().min(1).max(MOST_COUNT).meta({
  description:
    'Can be given instead of `condition`. With a window of more than ten minutes, at most 1,000,000.',
});
const TOGETHER = 'Counts toward the limit that is described at `window_seconds`.';
const windowSeconds = seconds(1).meta({
  description:
    'Can be given instead of `condition`. Limit: the sum of `window_seconds`, `allowed_lateness_seconds`, `for_seconds` and `keep_firing_seconds` must not exceed the retention of events, nor 100,000 buckets. A bucket is a sixtieth of the window, and at least 1 s.',
});

const settings = {
  name: plainText.min(3).max(200),
  enabled: z.boolean(),
  event_type: z
    .string()
    .max(64)
    .meta({ description: 'The event type to match exactly; absent or empty matches every type' }),
  severity: z
    .string()
    .max(32)
    .meta({ description: 'The severity to match exactly; absent or empty matches every severity' }),
  threshold_count: thresholdCount,
  window_seconds: windowSeconds,
  condition: conditionSchema,
  match: z.array(matcher).max(50),
  group_by: z.array(field).max(10).meta({
    description:
      'Fields that divide events into groups. Each combination of their values is evaluated separately.',
  }),
  for_seconds: seconds(0).meta({
    description: `The condition must hold this long before the rule fires. ${TOGETHER}`,
  }),
  keep_firing_seconds: seconds(0).meta({
    description: `The rule keeps firing for this long after its condition ended. ${TOGETHER}`,
  }),
  recovery_threshold: z.int().min(0).max(MOST_COUNT).meta({
    description:
      'A firing rule stops when fewer than this many events are in the window. Absent or 0 means `threshold_count`. If `threshold_count` is later set below this value, this value is lowered to it.',
  }),
  allowed_lateness_seconds: seconds(0).meta({
    description: `Events that are older than this on arrival are stored, but this rule does not evaluate them. ${TOGETHER} Default: 3600, or less if that limit requires it.`,
  }),
  late: z.enum(['notify', 'record']).meta({
    description:
      'What happens to incidents that late events open. `notify`: they are sent to the channels. `record`: they are only stored.',
  }),
  incident_severity: z.string().max(32).meta({
    description:
      'Severity of the incidents. If absent: `severity`, or without it the highest severity among the matched events.',
  }),
  labels: texts,
  annotations: texts,
  max_groups: z.int().min(1).max(100_000).meta({
    description:
      'The rule watches at most this many groups; the events of all further groups count in one overflow group',
  }),
  sample: z
    .boolean()
    .meta({ description: 'True for the sample rules that Tocsin creates; `DELETE /samples` removes them' }),
};

const partial = z.object(settings).partial();
/** All fields of a rule, each optional. Null means "not given", as in the reference system. */
const given = z.object(
  Object.fromEntries(Object.entries(partial.shape).map(([name, schema]) => [name, schema.nullable()])) as {
    [K in keyof typeof settings]: z.ZodNullable<z.ZodOptional<(typeof settings)[K]>>;
  },
);

export const ruleIn = given.extend({ name: settings.name }).meta({ id: 'RuleInput' });
export const rulePatch = given.omit({ sample: true }).meta({
  id: 'RulePatch',
  description:
    'Absent and null fields keep their values. To clear `event_type`, `severity` or `incident_severity`, send an empty string; to clear `recovery_threshold`, send 0.',
});
export type RuleGiven = z.output<typeof rulePatch> & { sample?: boolean | null };

export const openIncidents = z.object({
  count: z.int(),
  outcome: z.string().meta({ description: 'A sentence that says what happens to these incidents' }),
});

export const ruleOut = z
  .object({
    id: z.guid(),
    ...settings,
    event_type: settings.event_type.nullable(),
    severity: settings.severity.nullable(),
    recovery_threshold: thresholdCount
      .meta({ description: 'A firing rule stops when fewer than this many events are in the window' })
      .nullable(),
    incident_severity: settings.incident_severity.nullable(),
    match: z.array(z.custom<Matcher>().meta({ override: { $ref: '#/components/schemas/Matcher' } })),
    created_at: time,
    updated_at: time,
    revision: z
      .int()
      .meta({ description: 'Increases with every change of what the rule counts or when it fires' }),
    ready: z.boolean().meta({
      description:
        'True once the events that were stored before this revision are counted (backfill). The rule is evaluated only from then on. A change that leaves what is counted as it is, such as another threshold, is ready at once.',
    }),
    group_overflow: z
      .int()
      .meta({ description: 'Events counted in the overflow group because `max_groups` was reached' }),
  })
  .meta({ id: 'Rule' });

export const changedRuleOut = ruleOut.extend({ open_incidents: openIncidents }).meta({ id: 'ChangedRule' });
