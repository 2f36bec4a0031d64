import { z } from 'zod';
import { MATCH_OPERATORS, type Matcher } from '../../domain/matcher.ts';
import { RECEIVING_PROTOCOLS } from '../../domain/received-alert.ts';
import { time } from './parameters.ts';

/** Ten years, in seconds: nothing about a rule is longer. */
const LONGEST = 315_360_000;

const seconds = (min: number) => z.int().min(min).max(LONGEST);
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
          'A string, number or boolean; a list of them for `in`; a number for `>` and `<`; an RE2 pattern, anchored at both ends, for `=~` and `!~`; a boolean for `exists`.',
      }),
  })
  .meta({ id: 'Matcher', description: 'One test of one field. All tests of a rule must hold.' });

const condition = z.discriminatedUnion('kind', [
  z
    .object({
      kind: z.literal('count'),
      threshold_count: z.int().min(1).max(2_147_483_647),
      window_seconds: seconds(1),
    })
    .meta({
      id: 'CountCondition',
      description:
        'Holds at t while at least `threshold_count` matched events lie in [t − window, t], both ends included.',
    }),
  z.object({ kind: z.literal('received'), protocol: z.enum(RECEIVING_PROTOCOLS) }).meta({
    id: 'ReceivedCondition',
    description:
      'Holds while somebody outside says so, for each alert received by the protocol. Only built-in rules have it; they show a `threshold_count` and a `window_seconds` of 1, and can be disabled, not deleted.',
  }),
]);

const thresholdCount = z.int().min(1).max(2_147_483_647).meta({ description: 'Short for `condition`' });
const TOGETHER =
  '`window_seconds`, `allowed_lateness_seconds`, `for_seconds` and `keep_firing_seconds` are together at most as long as events are kept, and at most 100,000 buckets, each a sixtieth of the window and at least 1 s';
const windowSeconds = seconds(1).meta({ description: `Short for \`condition\`. ${TOGETHER}` });

const settings = {
  name: z.string().min(3).max(200),
  enabled: z.boolean(),
  event_type: z.string().max(64).meta({ description: 'Equality; any if absent or empty' }),
  severity: z.string().max(32).meta({ description: 'Equality; any if absent or empty' }),
  threshold_count: thresholdCount,
  window_seconds: windowSeconds,
  condition,
  match: z.array(matcher).max(50),
  group_by: z
    .array(field)
    .max(10)
    .meta({ description: 'Each combination of these values is judged on its own' }),
  for_seconds: seconds(0).meta({
    description: `The condition must hold this long before the rule fires. ${TOGETHER}`,
  }),
  keep_firing_seconds: seconds(0).meta({
    description: `The rule fires on for this long after its condition ended. ${TOGETHER}`,
  }),
  recovery_threshold: z.int().min(0).max(2_147_483_647).meta({
    description:
      'While firing, it goes on until fewer than this many are in the window; the threshold if absent or 0. It follows a threshold that is set below it',
  }),
  allowed_lateness_seconds: seconds(0).meta({
    description: `Events older than this on arrival are stored, not judged. 3600 if absent, or what the other times leave. ${TOGETHER}`,
  }),
  late: z
    .enum(['notify', 'record'])
    .meta({ description: 'Whether incidents found late are notified or only kept' }),
  incident_severity: z
    .string()
    .max(32)
    .meta({ description: '`severity`, else the highest that matched, if absent' }),
  labels: texts,
  annotations: texts,
  max_groups: z.int().min(1).max(100_000).meta({ description: 'Groups beyond these are folded into one' }),
  sample: z.boolean().meta({ description: 'Comes with Tocsin; `DELETE /samples` removes it' }),
};

const partial = z.object(settings).partial();
/** Null means not given, as in the reference. */
const given = z.object(
  Object.fromEntries(Object.entries(partial.shape).map(([name, schema]) => [name, schema.nullable()])) as {
    [K in keyof typeof settings]: z.ZodNullable<z.ZodOptional<(typeof settings)[K]>>;
  },
);

export const ruleIn = given.extend({ name: settings.name }).meta({ id: 'RuleInput' });
export const rulePatch = given.omit({ sample: true }).meta({
  id: 'RulePatch',
  description:
    'What is absent or null stays. An empty `event_type`, `severity` or `incident_severity` and a `recovery_threshold` of 0 clear it.',
});
export type RuleGiven = z.output<typeof rulePatch> & { sample?: boolean | null };

export const openIncidents = z.object({
  count: z.int(),
  outcome: z.string().meta({ description: 'What becomes of them' }),
});

export const ruleOut = z
  .object({
    id: z.guid(),
    ...settings,
    event_type: settings.event_type.nullable(),
    severity: settings.severity.nullable(),
    recovery_threshold: thresholdCount
      .meta({ description: 'While firing, it goes on until fewer than this many are in the window' })
      .nullable(),
    incident_severity: settings.incident_severity.nullable(),
    match: z.array(z.custom<Matcher>().meta({ override: { $ref: '#/components/schemas/Matcher' } })),
    created_at: time,
    updated_at: time,
    revision: z
      .int()
      .meta({ description: 'Counts up with every change of what it counts and when it fires' }),
    ready: z
      .boolean()
      .meta({ description: 'The events already in its window are counted: it is being judged' }),
    group_overflow: z
      .int()
      .meta({ description: 'Events folded, because they came when `max_groups` was reached' }),
  })
  .meta({ id: 'Rule' });

export const changedRuleOut = ruleOut.extend({ open_incidents: openIncidents }).meta({ id: 'ChangedRule' });
