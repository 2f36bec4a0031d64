import type pg from 'pg';
import type { Event } from '../../domain/events/event.ts';
import { copyIn } from '../copy.ts';
import { binaryRows } from './binary.ts';
import { textRows } from './text.ts';

/** A way to store events in a table. It resolves to how many were new. */
export interface Way {
  name: string;
  /** A statement that runs once on each connection, before the first batch. */
  prepare?: string;
  insert(client: pg.Client, events: readonly Event[], now: number): Promise<number>;
}

const COLUMNS = 'event_id, occurred_at, source_id, severity, event_type, payload, received_at';
const CONFLICT = 'order by 1, 2 on conflict do nothing';
const STAGE = `create temp table stage (event_id uuid, occurred_at timestamptz(3), source_id varchar(100), severity varchar(32),
  event_type varchar(64), payload jsonb, received_at timestamptz(3)) on commit delete rows`;

const recordset = (returning: string) => `
  insert into events (${COLUMNS})
  select event_id, to_timestamp(occurred_at / 1000.0), source_id, severity, event_type, payload, $2
  from jsonb_to_recordset($1::jsonb) as e(event_id uuid, occurred_at bigint, source_id text, severity text, event_type text,
    payload jsonb) ${CONFLICT} ${returning}`;

const unnest = `
  insert into events (${COLUMNS})
  select id, to_timestamp(at / 1000.0), source, severity, type, payload, $7
  from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::jsonb[]) as e(id, at, source, severity, type, payload)
  ${CONFLICT}`;

function columns(events: readonly Event[]): unknown[] {
  return [
    events.map(({ event_id }) => event_id),
    events.map(({ occurred_at }) => occurred_at),
    events.map(({ source_id }) => source_id),
    events.map(({ severity }) => severity),
    events.map(({ event_type }) => event_type),
    events.map(({ payload }) => JSON.stringify(payload)),
  ];
}

/** Rows per statement. PostgreSQL accepts 65,535 parameters. */
const VALUES_ROWS = 1000;
function values(rows: number): string {
  const row = (_: unknown, i: number) =>
    `(${Array.from({ length: 7 }, (_, column) => `$${i * 7 + column + 1}`).join(', ')})`;
  return `insert into events (${COLUMNS}) values ${Array.from({ length: rows }, row).join(', ')} on conflict do nothing`;
}

async function insertValues(client: pg.Client, events: readonly Event[], now: number): Promise<number> {
  const received = new Date(now);
  let stored = 0;
  for (let from = 0; from < events.length; from += VALUES_ROWS) {
    const part = events.slice(from, from + VALUES_ROWS);
    const given = part.flatMap((e) => [
      ...[e.event_id, new Date(e.occurred_at), e.source_id, e.severity, e.event_type],
      ...[JSON.stringify(e.payload), received],
    ]);
    const { rowCount } = await client.query({
      name: `values-${part.length}`,
      text: values(part.length),
      values: given,
    });
    stored += rowCount ?? 0;
  }
  return stored;
}

async function copied(client: pg.Client, data: Buffer, format: string): Promise<number> {
  const result = await copyIn(client, `copy events (${COLUMNS}) from stdin (format ${format})`, data);
  return [result].flat()[0]!.rowCount ?? 0;
}

/** Uses one round trip for all statements, and one more for the rows. */
async function staged(client: pg.Client, data: Buffer, format: string): Promise<number> {
  const text = `begin; copy stage (${COLUMNS}) from stdin (format ${format});
    insert into events (${COLUMNS}) select ${COLUMNS} from stage ${CONFLICT}; commit`;
  const [, , inserted] = await copyIn(client, text, data);
  return inserted!.rowCount ?? 0;
}

const sorted = (events: readonly Event[]) =>
  events.toSorted((a, b) => (a.event_id < b.event_id ? -1 : a.event_id > b.event_id ? 1 : 0));

export const WAYS: readonly Way[] = [
  {
    name: 'jsonb_to_recordset, returning keys',
    insert: async (client, events, now) => {
      const text = recordset('returning event_id, (extract(epoch from occurred_at) * 1000)::float8 as at');
      return (await client.query(text, [JSON.stringify(events), new Date(now)])).rows.length;
    },
  },
  {
    name: 'jsonb_to_recordset, prepared, count only',
    insert: async (client, events, now) => {
      const given = [JSON.stringify(events), new Date(now)];
      return (await client.query({ name: 'recordset', text: recordset(''), values: given })).rowCount ?? 0;
    },
  },
  {
    name: 'unnest of arrays',
    insert: async (client, events, now) =>
      (await client.query(unnest, [...columns(events), new Date(now)])).rowCount ?? 0,
  },
  {
    name: 'unnest of arrays, prepared',
    insert: async (client, events, now) => {
      const given = [...columns(events), new Date(now)];
      return (await client.query({ name: 'unnest', text: unnest, values: given })).rowCount ?? 0;
    },
  },
  { name: 'values of many rows, prepared', insert: insertValues },
  {
    name: 'COPY text into a temporary table, insert … select',
    prepare: STAGE,
    insert: (client, events, now) => staged(client, textRows(events, now), 'text'),
  },
  {
    name: 'COPY binary into a temporary table, insert … select',
    prepare: STAGE,
    insert: (client, events, now) => staged(client, binaryRows(events, now), 'binary'),
  },
  {
    name: 'COPY binary straight into events',
    insert: (client, events, now) => copied(client, binaryRows(sorted(events), now), 'binary'),
  },
  {
    name: 'COPY text straight into events',
    insert: (client, events, now) => copied(client, textRows(sorted(events), now), 'text'),
  },
];
