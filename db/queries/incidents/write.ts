import { type RawBuilder, sql } from 'kysely';
import type { TimelineEntry } from '../../../domain/incidents/timeline.ts';
import type {
  IncidentColumns,
  IncidentWords,
  NewIncident,
  NewNotice,
  Transition,
} from '../../../domain/incidents/transitions.ts';
import type { Sql } from '../../orm.ts';

type Type = 'int' | 'text' | 'uuid' | 'time' | 'jsonb' | 'boolean';

/** The columns that transitions change, with their types. */
const CHANGING: Record<keyof IncidentColumns, Type> = {
  ...({ revision: 'int', state: 'text', merged_into: 'uuid', reopened: 'int', corrections: 'int' } as const),
  ...({ since: 'time', opened_at: 'time', ended_at: 'time', withdrawn_at: 'time' } as const),
  ...({ acknowledged_at: 'time', acknowledged_by: 'text' } as const),
  ...({ resolved_at: 'time', resolved_by: 'text', resolve_reason: 'text', metadata: 'jsonb' } as const),
};

/** All columns: those above, and those that are written once. */
const COLUMNS: Record<keyof NewIncident, Type> = {
  ...CHANGING,
  ...({ id: 'uuid', rule_id: 'uuid', rule_name: 'text', group_key: 'text', episode: 'int' } as const),
  ...({ late: 'boolean', recorded_at: 'time', summary: 'text', severity: 'text' } as const),
  ...({ group_labels: 'jsonb', labels: 'jsonb', annotations: 'jsonb' } as const),
};

/**
 * Writes incidents, their timelines and their notices, in the order of the transitions. No other code does.
 * It must be called in the transaction that locked the incidents and decided the transitions.
 */
export async function writeTransitions(db: Sql, transitions: readonly Transition[]): Promise<void> {
  const changed = new Map<string, { id: string } & Partial<IncidentColumns>>();
  const inserted: NewIncident[] = [];
  for (const { incident } of transitions) {
    if ('rule_id' in incident) inserted.push(incident);
    else if (Object.keys(incident).length > 1)
      changed.set(incident.id, { ...changed.get(incident.id), ...incident });
  }
  // A group has at most one open incident at any moment, so those that end are written first.
  const { open = [], rest = [] } = Object.groupBy(changed.values(), ({ state }) =>
    state === 'open' ? 'open' : 'rest',
  );
  await update(db, rest);
  await update(db, open);
  await insert(db, inserted);
  await addEntries(
    db,
    transitions.flatMap(({ entries }) => entries),
  );
  await addNotices(
    db,
    transitions.flatMap(({ notices }) => notices),
  );
}

async function update(db: Sql, rows: readonly ({ id: string } & Partial<IncidentColumns>)[]): Promise<void> {
  if (rows.length === 0) return;
  const set = Object.entries(CHANGING).map(([name, type]) => {
    const column = sql.ref(name);
    return sql`${column} = case when c.row ? ${sql.lit(name)} then ${read(name, type)} else i.${column} end`;
  });
  await sql`
    update alert_incidents i set ${sql.join(set)}
    from jsonb_array_elements(${JSON.stringify(rows)}::jsonb) c(row)
    where i.id = (c.row ->> 'id')::uuid`.execute(db);
}

async function insert(db: Sql, rows: readonly NewIncident[]): Promise<void> {
  if (rows.length === 0) return;
  const columns = Object.entries(COLUMNS);
  await sql`
    insert into alert_incidents (${sql.join(columns.map(([name]) => sql.ref(name)))})
    select ${sql.join(columns.map(([name, type]) => read(name, type)))}
    from jsonb_array_elements(${JSON.stringify(rows)}::jsonb) c(row)`.execute(db);
}

/** Reads a column from a row that came as JSON. */
function read(name: string, type: Type): RawBuilder<unknown> {
  if (type === 'jsonb') return sql`c.row -> ${sql.lit(name)}`;
  const text = sql`c.row ->> ${sql.lit(name)}`;
  if (type === 'time') return sql`to_timestamp((${text})::float8 / 1000)`;
  return sql`(${text})::${sql.raw(type)}`;
}

async function addEntries(db: Sql, entries: readonly TimelineEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await sql`
    insert into incident_timeline (incident_id, at, kind, actor, detail)
    select (c.row ->> 'incident_id')::uuid, ${read('at', 'time')}, c.row ->> 'kind', c.row ->> 'actor', c.row -> 'detail'
    from jsonb_array_elements(${JSON.stringify(entries)}::jsonb) with ordinality c(row, n) order by n`.execute(
    db,
  );
}

async function addNotices(db: Sql, notices: readonly NewNotice[]): Promise<void> {
  if (notices.length === 0) return;
  await sql`
    insert into notices (id, incident_id, kind, at, done)
    select (c.row ->> 'id')::uuid, (c.row ->> 'incident_id')::uuid, c.row ->> 'kind', ${read('at', 'time')}, false
    from jsonb_array_elements(${JSON.stringify(notices)}::jsonb) c(row)`.execute(db);
}

/**
 * Adds the outcome of a notice on a channel to the timeline, once. It must be called in a transaction: the
 * lock on the incident serializes callers. Returns false if the entry exists or the incident is gone.
 */
export async function addNoticeEntry(
  db: Sql,
  entry: TimelineEntry<'notice_sent' | 'notice_failed' | 'notified_nobody'>,
): Promise<boolean> {
  const { incident_id, detail } = entry;
  const { rows } = await sql`select from alert_incidents where id = ${incident_id} for update`.execute(db);
  if (rows.length === 0) return false;
  const channel = 'channel' in detail ? detail.channel : null;
  const { rows: there } = await sql`
    select from incident_timeline where incident_id = ${incident_id}
      and kind in ('notice_sent', 'notice_failed', 'notified_nobody')
      and detail ->> 'notice_id' = ${detail.notice_id}
      and detail ->> 'channel' is not distinct from ${channel}::text
    limit 1`.execute(db);
  if (there.length > 0) return false;
  await addEntries(db, [entry]);
  return true;
}

/** Updates the texts of open incidents to those of their alerts. Nobody is notified. */
export async function rewordIncidents(
  db: Sql,
  words: readonly (Pick<NewIncident, 'rule_id' | 'group_key'> & Omit<IncidentWords, 'group_labels'>)[],
): Promise<void> {
  await sql`
    update alert_incidents i set summary = x.summary, severity = x.severity, labels = x.labels, annotations = x.annotations
    from (
      select i.id, x.* from jsonb_to_recordset(${JSON.stringify(words)}::jsonb)
        as x(rule_id uuid, group_key text, summary text, severity text, labels jsonb, annotations jsonb)
      join alert_incidents i using (rule_id, group_key)
      where i.ended_at is null and i.merged_into is null
      order by i.id for update of i
    ) x where i.id = x.id`.execute(db);
}
