import { inFull } from '../../domain/decimal.ts';
import type { Json } from '../../domain/events/event.ts';
import { MAX_DEPTH } from '../append/validate.ts';

/*
 * Values as OTLP writes them. Protobuf has int64 as Long, and bytes as bytes. JSON has int64 as a string or
 * a number, bytes as base64, and ids as hexadecimal.
 */

/** A value that has the wrong type or is nested too deeply. The message says which. */
export class Flaw extends Error {
  override name = 'Flaw';
}

/** Reads the elements of a repeated field; empty if it is absent. @throws Flaw */
export function list(message: unknown, name: string): readonly unknown[] {
  const value = member(message, name);
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Flaw(`${name} must be an array`);
  return value;
}

/** Reads a field of a message; undefined if it is absent. @throws Flaw if the message itself is no object */
export function member(message: unknown, name: string): unknown {
  if (message === null || typeof message !== 'object' || Array.isArray(message)) {
    throw new Flaw('a message must be an object');
  }
  return Object.hasOwn(message, name) ? ((message as Record<string, unknown>)[name] ?? undefined) : undefined;
}

/** Reads a text; '' if it is absent. @throws Flaw */
export function text(message: unknown, name: string): string {
  const value = member(message, name) ?? '';
  if (typeof value !== 'string') throw new Flaw(`${name} must be a string`);
  return value;
}

/** Reads a number of up to 32 bits, which may be a string in JSON; 0 if it is absent. @throws Flaw */
export function small(message: unknown, name: string): number {
  const value = member(message, name) ?? 0;
  if (typeof value === 'string' && /^-?\d{1,10}$/.test(value)) return Number(value);
  if (typeof value !== 'number') throw new Flaw(`${name} must be a number`);
  return value;
}

/**
 * Reads a trace or span id as hex; '' if it is absent or invalid (wrong length, or all zero). The
 * specification says that a record with an invalid id belongs to no trace and must not be refused.
 * @throws Flaw if it is neither text nor bytes
 */
export function hex(message: unknown, name: string, bytes: number): string {
  const value = member(message, name) ?? '';
  const id =
    value instanceof Uint8Array
      ? Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')
      : value;
  if (typeof id !== 'string') throw new Flaw(`${name} must be hex`);
  return id.length === 2 * bytes && /^[0-9a-f]*$/i.test(id) && !/^0*$/.test(id) ? id.toLowerCase() : '';
}

/** Reads a time in nanoseconds since 1970; 0 if it is absent. @throws Flaw */
export function nanoseconds(message: unknown, name: string): bigint {
  const value = member(message, name);
  return value === undefined ? 0n : integer(value, name, true);
}

/** Reads attributes into an object. If a key is repeated, the last one counts. @throws Flaw */
export function attributes(message: unknown, name = 'attributes', depth = 0): { [key: string]: Json } {
  const found: { [key: string]: Json } = {};
  for (const pair of list(message, name)) {
    const key = text(pair, 'key');
    const value = anyValue(member(pair, 'value'), depth + 1);
    // Assigning `__proto__` would set the prototype.
    if (key === '__proto__')
      Object.defineProperty(found, key, { value, enumerable: true, configurable: true });
    else found[key] = value;
  }
  return found;
}

/**
 * Reads an AnyValue. Integers that JSON numbers cannot keep exactly, and numbers that JSON lacks, become
 * strings. @throws Flaw
 */
export function anyValue(any: unknown, depth = 0): Json {
  if (any === undefined || any === null) return null;
  if (typeof any !== 'object' || Array.isArray(any)) throw new Flaw('a value must be an object');
  if (depth > MAX_DEPTH) throw new Flaw(`a value is nested deeper than ${MAX_DEPTH}`);
  for (const kind of Object.keys(any)) {
    const value = (any as Record<string, unknown>)[kind];
    if (value === null) continue;
    // `hasOwn`, because the name may be that of a property which every object inherits.
    if (Object.hasOwn(READERS, kind)) return READERS[kind]!(value, depth);
  }
  return null;
}

const READERS: Readonly<Record<string, (value: unknown, depth: number) => Json>> = {
  stringValue: (value) => typed(value, 'string', 'stringValue'),
  boolValue: (value) => typed(value, 'boolean', 'boolValue'),
  intValue(value) {
    const whole = integer(value, 'intValue');
    return Number.isSafeInteger(Number(whole)) ? Number(whole) : String(whole);
  },
  doubleValue(value) {
    if (typeof value !== 'string') {
      const number = typed(value, 'number', 'doubleValue');
      return Number.isFinite(number) ? number : String(number);
    }
    if (/^(?:NaN|-?Infinity)$/.test(value)) return value;
    if (!/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(value)) throw new Flaw('doubleValue must be a number');
    const number = Number(value);
    // A number that no double can represent stays as it was written.
    return Number.isFinite(number) && (number !== 0 || !/^[^eE]*[1-9]/.test(value)) ? number : value;
  },
  arrayValue: (value, depth) => list(value, 'values').map((item) => anyValue(item, depth + 1)),
  kvlistValue: (value, depth) => attributes(value, 'values', depth),
  bytesValue: (value) =>
    value instanceof Uint8Array
      ? Buffer.from(value).toString('base64')
      : typed(value, 'string', 'bytesValue'),
};

function typed(value: unknown, type: 'string', name: string): string;
function typed(value: unknown, type: 'boolean', name: string): boolean;
function typed(value: unknown, type: 'number', name: string): number;
function typed(value: unknown, type: string, name: string): unknown {
  if (typeof value !== type) throw new Flaw(`${name} must be a ${type}`);
  return value;
}

/** Reads an integer. @throws Flaw */
function integer(value: unknown, name: string, unsigned = false): bigint {
  const whole = wholeOf(value, unsigned);
  const [least, most] = unsigned ? [0n, 2n ** 64n] : [-(2n ** 63n), 2n ** 63n];
  if (whole === null || whole < least || whole >= most) throw new Flaw(`${name} must be a 64-bit integer`);
  return whole;
}

function wholeOf(value: unknown, unsigned: boolean): bigint | null {
  if (typeof value === 'object' && value !== null && 'low' in value && 'high' in value) {
    const { low, high } = value;
    // From JSON, such an object may contain anything.
    if (!isHalf(low) || !isHalf(high)) return null;
    return (BigInt(unsigned ? high >>> 0 : high) << 32n) | BigInt(low >>> 0);
  }
  // The number is converted by its digits: the double nearest to 9223372036854775000 is another integer.
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(inFull(value));
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : null;
}

function isHalf(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= -(2 ** 31) && (value as number) < 2 ** 32;
}
