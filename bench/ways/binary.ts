import type { Event } from '../../domain/events/event.ts';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
/** PostgreSQL counts microseconds from the year 2000. */
const EPOCH_MS = 946_684_800_000n;

/** Writes events as rows of COPY's binary format. */
export function binaryRows(events: readonly Event[], now: number): Buffer {
  let buffer = Buffer.allocUnsafe(events.length * 400 + 64);
  let at = SIGNATURE.copy(buffer);
  const room = (bytes: number) => {
    if (at + bytes <= buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + bytes));
    buffer.copy(larger, 0, 0, at);
    buffer = larger;
  };
  const text = (value: string, version?: number) => {
    room(value.length * 3 + 5);
    const start = at;
    at += 4;
    if (version !== undefined) buffer[at++] = version;
    at += buffer.write(value, at);
    buffer.writeInt32BE(at - start - 4, start);
  };
  const time = (ms: number) => {
    room(12);
    at = buffer.writeInt32BE(8, at);
    at = buffer.writeBigInt64BE((BigInt(ms) - EPOCH_MS) * 1000n, at);
  };
  for (const { event_id, occurred_at, source_id, severity, event_type, payload } of events) {
    room(32);
    at = buffer.writeInt16BE(7, at);
    at = buffer.writeInt32BE(16, at);
    at += buffer.write(event_id.replaceAll('-', ''), at, 'hex');
    time(occurred_at);
    text(source_id);
    text(severity);
    text(event_type);
    // The jsonb format begins with its version.
    text(JSON.stringify(payload), 1);
    time(now);
  }
  room(2);
  at = buffer.writeInt16BE(-1, at);
  return buffer.subarray(0, at);
}
