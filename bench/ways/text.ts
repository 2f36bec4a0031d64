import type { Event } from '../../domain/events/event.ts';

const SPECIAL = /[\\\n\r\t]/g;
const ESCAPES: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const field = (text: string) => text.replace(SPECIAL, (found) => ESCAPES[found]!);

/** Writes events as rows of COPY's text format. */
export function textRows(events: readonly Event[], now: number): Buffer {
  const received = new Date(now).toISOString();
  let rows = '';
  for (const { event_id, occurred_at, source_id, severity, event_type, payload } of events) {
    rows += `${event_id}\t${new Date(occurred_at).toISOString()}\t${field(source_id)}\t${field(severity)}\t${field(
      event_type,
    )}\t${field(JSON.stringify(payload))}\t${received}\n`;
  }
  return Buffer.from(rows);
}
