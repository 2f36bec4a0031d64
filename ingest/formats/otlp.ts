import type { Json } from '../../domain/events/event.ts';
import { type Converted, type EventInput, invalidItem } from './converted.ts';
import { fitSource, fitType } from './fit.ts';
import { idFrom } from './id.ts';
import { anyValue, attributes, Flaw, hex, list, member, nanoseconds, small, text } from './otlp-value.ts';
import { severityOfName, severityOfNumber } from './severity.ts';

/** The namespace of ids made from the content of a record (UUIDv5). */
const RECORD = '9d1f4a37-52c8-4f6b-8f0e-27c3a1b6d845';

/** What the records of one scope have in common. */
interface Origin {
  source_id: string;
  resource: { [key: string]: Json };
  scope: { [key: string]: Json };
  /** The same as text, for the ids of the records. */
  said: string;
}

/** Counts the log records of an export. @throws Flaw if it is not an export */
export function countRecords(request: unknown): number {
  let count = 0;
  for (const resourceLogs of list(request, 'resourceLogs')) {
    for (const scopeLogs of list(resourceLogs, 'scopeLogs')) count += list(scopeLogs, 'logRecords').length;
  }
  return count;
}

/**
 * Converts the log records of an export, decoded from protobuf or JSON, in their order.
 *
 * OTLP has no ids, and its clients repeat an export after a lost answer. So if a record has a time, its id is
 * made from its content, its resource, and its position among equal records of the export. A repeated record
 * is then the same event. The drawback: if two exports contain records of the same resource that are equal to
 * the nanosecond, those become one event.
 * @throws Flaw if it is not an export, or if the part that records share is invalid
 */
export function fromExport(request: unknown): Converted<EventInput>[] {
  const items: Converted<EventInput>[] = [];
  const seen = new Map<string, number>();
  for (const resourceLogs of list(request, 'resourceLogs')) {
    const resource = attributes(member(resourceLogs, 'resource') ?? {});
    for (const scopeLogs of list(resourceLogs, 'scopeLogs')) {
      const origin = originOf(resource, scopeOf(member(scopeLogs, 'scope') ?? {}));
      for (const record of list(scopeLogs, 'logRecords')) items.push(fromRecord(record, origin, seen));
    }
  }
  return items;
}

function originOf(resource: Origin['resource'], scope: Origin['scope']): Origin {
  const service = resource['service.name'];
  const source_id = fitSource(typeof service === 'string' && service !== '' ? service : 'unknown_service');
  return { source_id, resource, scope, said: JSON.stringify([resource, scope]) };
}

function scopeOf(scope: unknown): Origin['scope'] {
  return present({
    name: text(scope, 'name'),
    version: text(scope, 'version'),
    attributes: attributes(scope),
  });
}

function fromRecord(record: unknown, origin: Origin, seen: Map<string, number>): Converted<EventInput> {
  try {
    const time = nanoseconds(record, 'timeUnixNano');
    const observed = nanoseconds(record, 'observedTimeUnixNano');
    const number = small(record, 'severityNumber');
    const name = text(record, 'severityText');
    const own = attributes(record);
    const said = present({
      body: anyValue(member(record, 'body')),
      attributes: own,
      severity_number: number,
      severity_text: name,
      event_name: text(record, 'eventName'),
      trace_id: hex(record, 'traceId', 16),
      span_id: hex(record, 'spanId', 8),
      flags: small(record, 'flags'),
      dropped_attributes_count: small(record, 'droppedAttributesCount'),
      time_unix_nano: time === 0n ? '' : String(time),
      observed_time_unix_nano: observed === 0n ? '' : String(observed),
    });
    // The event name was an attribute before it became a field.
    const type = said.event_name ?? own['event.name'];
    const at = time === 0n ? observed : time;
    return {
      event: {
        // Equal records without a time become two events, because nothing says that one was repeated.
        ...(at === 0n ? {} : { event_id: idOf(origin.said + JSON.stringify(said), seen) }),
        source_id: origin.source_id,
        event_type: fitType(typeof type === 'string' && type !== '' ? type : 'log'),
        severity: number > 0 ? severityOfNumber(number) : (severityOfName(name) ?? 'info'),
        ...(at === 0n ? {} : { timestamp: new Date(Number(at / 1_000_000n)).toISOString() }),
        payload: { ...said, ...present({ resource: origin.resource, scope: origin.scope }) },
      },
      lenient: true,
      derived: at !== 0n,
    };
  } catch (error) {
    if (error instanceof Flaw) return invalidItem('', error.message);
    throw error;
  }
}

/** Makes the id of a record with this content. Each of several equal records gets its own. */
function idOf(said: string, seen: Map<string, number>): string {
  const id = idFrom(RECORD, said);
  const before = seen.get(id) ?? 0;
  seen.set(id, before + 1);
  return before === 0 ? id : idFrom(id, String(before));
}

/**
 * Drops values that equal the default. Protobuf cannot distinguish them from absent ones, and both must make
 * the same event.
 */
function present(values: { [key: string]: Json }): { [key: string]: Json } {
  const kept: { [key: string]: Json } = {};
  for (const [key, value] of Object.entries(values)) {
    if (value === null || value === '' || value === 0) continue;
    if (typeof value === 'object' && !Array.isArray(value) && isEmpty(value)) continue;
    kept[key] = value;
  }
  return kept;
}

function isEmpty(object: object): boolean {
  for (const _ in object) return false;
  return true;
}
