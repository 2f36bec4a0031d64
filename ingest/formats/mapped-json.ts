import { z } from 'zod';
import type { MappingDefinition } from '../../domain/events/mapping.ts';
import { parsePath } from '../../domain/events/path.ts';
import { type Converted, type EventInput, invalidItem } from './converted.ts';
import { fitSource, fitType } from './fit.ts';
import { idFrom } from './id.ts';
import { severityOfName } from './severity.ts';
import { rfc3339 } from './time.ts';

/** The namespace of ids made from a source and an id in it, or from the whole record (UUIDv5). */
const SHIPPED = 'b1f6d0c8-7c0e-4f59-9a53-2e6f4d8c7a10';

const uuid = z.guid();

type Row = Record<string, unknown>;

/** A value of a record, with the keys that lead to it. */
interface Found {
  text: string;
  keys: readonly string[];
}

/** Makes a function that converts records by a mapping. */
export function mapper(mapping: MappingDefinition): (record: unknown) => Converted<EventInput> {
  const names = ['id', 'source', 'type', 'severity', 'time'] as const;
  const paths = names.map((name) => mapping[name].flatMap((path) => [[path], parsePath(path).keys]));
  return (record) => {
    if (record === null || typeof record !== 'object' || Array.isArray(record)) {
      return invalidItem('', 'must be an object');
    }
    const found = paths.map((candidates) => find(record as Row, candidates));
    const [id, source, type, severity, time] = found;
    const timestamp = time && timeOf(time.text, mapping.time_format);
    if (timestamp === null)
      return invalidItem('timestamp', `${time!.keys.join('.')} is not a time in a known form`);
    const source_id = fitSource(source?.text ?? mapping.defaults.source);
    const event = {
      source_id,
      event_type: fitType(type?.text ?? mapping.defaults.type),
      severity: severityOf(severity && levelOf(severity), mapping),
      ...(timestamp === undefined ? {} : { timestamp }),
      payload: mapping.payload === 'all' ? (record as Row) : without(record as Row, found),
    };
    if (id) {
      const event_id = idOf(id.text, source?.text ?? mapping.defaults.source);
      return { event: { event_id, ...event }, lenient: true, derived: event_id !== id.text };
    }
    // Without a time, equal records would be one event for as long as events are kept.
    if (mapping.dedupe && timestamp !== undefined) {
      const said = saidBy(event, record);
      if (said === null) return invalidItem('payload', 'nested too deeply');
      return { event: { event_id: idFrom(SHIPPED, said), ...event }, lenient: true, derived: true };
    }
    return { event, lenient: true };
  };
}

/** All content of a record and its event as text; null if it is nested too deeply to be written. */
function saidBy(event: EventInput, record: object): string | null {
  try {
    return JSON.stringify([event, record]);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** What syslog writes for an unknown value (RFC 5424, 6). */
const NIL = '-';

/** The first of the paths that leads to a string or a number. Inherited properties do not count. */
function find(record: Row, paths: readonly (readonly string[])[]): Found | undefined {
  for (const keys of paths) {
    let value: unknown = record;
    for (const key of keys) {
      const there = value !== null && typeof value === 'object' && Object.hasOwn(value, key);
      // `length` is an own property of a list, but not an item.
      if (!there || (Array.isArray(value) && key === 'length')) {
        value = undefined;
        break;
      }
      value = (value as Row)[key];
    }
    if (typeof value === 'string' && value !== '' && value !== NIL) return { text: value, keys };
    if (typeof value === 'number' || typeof value === 'boolean') return { text: String(value), keys };
  }
  return undefined;
}

/** Fields that contain syslog's priority. */
const PRIORITIES = ['pri', 'log.syslog.priority'];

/** Reads the level of a record. A priority is 8 × facility + severity (RFC 5424, 6.2.1). */
function levelOf({ text, keys }: Found): string {
  const isPriority = PRIORITIES.includes(keys.join('.')) && /^\d{1,3}$/.test(text) && Number(text) <= 191;
  return isPriority ? String(Number(text) % 8) : text;
}

function severityOf(text: string | undefined, { severities, defaults }: MappingDefinition): string {
  if (text === undefined) return defaults.severity;
  const name = text.trim().toLowerCase();
  if (Object.hasOwn(severities, name)) return severities[name]!;
  return severityOfName(name) ?? [...text].slice(0, 32).join('');
}

/** The event id for an id of the record. If it is not a UUID, one is derived from it and the source. */
function idOf(id: string, source: string): string {
  return uuid.safeParse(id).success ? id : idFrom(SHIPPED, `${source}\0${id}`);
}

/** Converts a time to RFC 3339; null if it is not a time. */
function timeOf(text: string, format: MappingDefinition['time_format']): string | null {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (format === 'rfc3339' || (format === 'auto' && Number.isNaN(number))) {
    return rfc3339(text);
  }
  const at = new Date(millisecondsOf(number, format));
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}

/**
 * Converts to whole milliseconds. Seconds are rounded to microseconds first, because 0.123 s is slightly less
 * than 123 ms in binary.
 */
function millisecondsOf(number: number, format: MappingDefinition['time_format']): number {
  if (format === 'epoch_ms') return Math.floor(number);
  const size = format === 'epoch_s' ? 0 : Math.abs(number);
  if (size < 1e11) return Math.floor(Math.round(number * 1e6) / 1e3);
  if (size < 1e14) return Math.floor(number);
  return Math.floor(number / (size < 1e17 ? 1e3 : 1e6));
}

/** Copies the record without the values that were found. Objects on the way are copied, not changed. */
function without(record: Row, found: readonly (Found | undefined)[]): Row {
  const rest = { ...record };
  for (const { keys } of found.filter((one) => one !== undefined)) {
    let parent = rest;
    for (const key of keys.slice(0, -1)) {
      const inner = parent[key];
      const copy = Array.isArray(inner) ? [...inner] : { ...(inner as Row) };
      // `defineProperty`, because assigning `__proto__` would set the prototype.
      Object.defineProperty(parent, key, {
        value: copy,
        enumerable: true,
        configurable: true,
        writable: true,
      });
      parent = copy as Row;
    }
    // Later items of a list keep their positions.
    const last = keys.at(-1)!;
    if (Array.isArray(parent)) (parent as Row)[last] = null;
    else delete parent[last];
  }
  return rest;
}
