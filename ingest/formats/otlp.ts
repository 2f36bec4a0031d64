import type { Json } from '../../domain/events/event.ts';
import { type Converted, type EventInput, invalidItem } from './converted.ts';
import { fitSource, fitType } from './fit.ts';
import { idFrom } from './id.ts';
import { anyValue, attributes, Flaw, hex, list, member, nanoseconds, small, text } from './otlp-value.ts';
import { severityOfName, severityOfNumber } from './severity.ts';

/** The namespace of ids made from what a record says (UUIDv5). */
const RECORD = '9d1f4a37-52c8-4f6b-8f0e-27c3a1b6d845';

/** What the records of one scope share. */
interface Origin {
  source_id: string;
  resource: { [key: string]: Json };
  scope: { [key: string]: Json };
  /** All of it as text, for their ids. */
  said: string;
}

/** How many log records an export has. @throws Flaw where it is none */
export function countRecords(request: unknown): number {
  let count = 0;
  for (const resourceLogs of list(request, 'resourceLogs')) {
    for (const scopeLogs of list(resourceLogs, 'scopeLogs')) count += list(scopeLogs, 'logRecords').length;
  }
  return count;
}

/**
 * The log records of an export, decoded from protobuf or JSON, in their order.
 *
 * OTLP has no ids, and its clients send an export again when they heard no answer. So the id of a record with
 * a time is made from all it says, its resource and its place among equals in the export: sent again it is
 * the same event. The price: records that are equal to the nanosecond, from the same resource, in two
 * exports, are one.
 * @throws Flaw where it is none, or where what records share can't be read
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
    // An event's name was an attribute before it became a field.
    const type = said.event_name ?? own['event.name'];
    const at = time === 0n ? observed : time;
    return {
      event: {
        // Equal records without any time are two: nothing says that they are one sent again.
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

/** The id of a record that says this; of equals each has its own. */
function idOf(said: string, seen: Map<string, number>): string {
  const id = idFrom(RECORD, said);
  const before = seen.get(id) ?? 0;
  seen.set(id, before + 1);
  return before === 0 ? id : idFrom(id, String(before));
}

/**
 * What is not as good as absent: in protobuf the two can't be told apart, and both must make the same event.
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
