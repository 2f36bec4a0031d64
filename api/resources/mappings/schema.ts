import { z } from 'zod';
import type { MappingRow } from '../../../db/entities/mapping.ts';
import { BUILT_IN, type MappingDefinition, TIME_FORMATS } from '../../../domain/events/mapping.ts';
import { time } from '../../http/parameters.ts';

const path = z.string().min(1).max(200);

/** One path, or several. Of several, the first that exists in the record counts. */
const paths = z
  .union([path.transform((one) => [one]), z.array(path).max(20)])
  .default([])
  .meta({ override: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] } });

const severity = z.string().min(1).max(32);

const name = z
  .string()
  .max(64)
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/,
    'must be lower-case letters and digits, with . _ - only between them',
  );

/** Any name is accepted: one that no mapping can have is simply not found. */
export const mappingParams = z.object({ mapping: z.string().max(100) });

export const mappingDefinition = z
  .object({
    id: paths.describe(
      'What identifies a record within its source. A UUID becomes the `event_id` itself; Tocsin derives one from anything else.',
    ),
    source: paths.describe('Paths of the `source_id`'),
    type: paths.describe('Paths of the `event_type`'),
    severity: paths.describe('Paths of the severity; `severities` translates its value'),
    time: paths.describe('Paths of the time. A record without a time happened when it arrived.'),
    defaults: z
      .object({
        source: z.string().min(3).max(100).default('unknown'),
        type: z.string().min(1).max(64).default('log'),
        severity: severity.default('info'),
      })
      .prefault({})
      .describe('Values for records in which no path leads to a value'),
    time_format: z
      .enum(TIME_FORMATS)
      .default('auto')
      .describe('How times are written. `auto` recognizes RFC 3339, and numbers by their size.'),
    severities: z
      .record(z.string().max(100), severity)
      .refine((table) => Object.keys(table).length <= 200, 'must have at most 200 names')
      .transform((table) =>
        Object.fromEntries(Object.entries(table).map(([level, ours]) => [level.trim().toLowerCase(), ours])),
      )
      .default({})
      .meta({
        description:
          'Severities for the values that the records use. The usual names of log levels are built in.',
        override: { type: 'object', additionalProperties: { type: 'string' } },
      }),
    payload: z
      .enum(['all', 'rest'])
      .default('all')
      .describe(
        'What the payload contains. `all`: the whole record. `rest`: only the fields of the record that did not become a field of the event.',
      ),
    dedupe: z
      .boolean()
      .default(false)
      .describe('If true, equal records that have a time are stored as one event'),
  })
  .meta({ id: 'MappingDefinition' });

export const mappingIn = mappingDefinition.extend({ name }).meta({ id: 'MappingInput' });

export const mappingOut = z
  .object({
    name: z.string(),
    built_in: z.boolean(),
    id: z.array(z.string()),
    source: z.array(z.string()),
    type: z.array(z.string()),
    severity: z.array(z.string()),
    time: z.array(z.string()),
    defaults: z.object({ source: z.string(), type: z.string(), severity: z.string() }),
    time_format: z.enum(TIME_FORMATS),
    severities: z.record(z.string(), z.string()),
    payload: z.enum(['all', 'rest']),
    dedupe: z.boolean(),
    created_at: time.nullable(),
    updated_at: time.nullable(),
  })
  .meta({ id: 'Mapping' });

/** Converts a mapping into the form that the API answers. */
export function showMapping({
  name,
  definition,
  createdAt,
  updatedAt,
}: MappingRow): z.output<typeof mappingOut> {
  const made = { created_at: createdAt.toISOString(), updated_at: updatedAt.toISOString() };
  return { name, built_in: false, ...definition, ...made };
}

/** A built-in mapping; null if there is none of that name. */
export function showBuiltIn(name: string): z.output<typeof mappingOut> | null {
  const definition: MappingDefinition | undefined = Object.hasOwn(BUILT_IN, name)
    ? BUILT_IN[name]
    : undefined;
  return definition ? { name, built_in: true, ...definition, created_at: null, updated_at: null } : null;
}
