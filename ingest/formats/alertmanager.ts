import { storableText } from '../../db/storable.ts';
import { receivedSeverity } from '../../domain/events/severity.ts';
import { parseInstant } from '../../domain/instant.ts';
import { NEVER } from '../../domain/received-alerts/alert.ts';
import { alertmanagerKey } from '../../domain/received-alerts/key.ts';
import { type ConvertedAlert, invalidItem } from './converted.ts';

/**
 * How long an alert without an end stays active unless it is sent again, in milliseconds: Alertmanager's
 * `resolve_timeout`.
 */
export const RESOLVE_TIMEOUT_MS = 5 * 60_000;

/**
 * Converts an alert of Alertmanager's API v2 (`postableAlert`). Its label set is its identity. Labels and
 * annotations without a value are dropped. Names may be any UTF-8, as in Alertmanager since 0.27.
 * @param now epoch ms: the start of an alert without a start; an alert without an end ends 5 minutes later
 */
export function fromPostableAlert(raw: unknown, now: number): ConvertedAlert {
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw))
    return invalidItem('', 'must be an object');
  const { labels, annotations, startsAt, endsAt, generatorURL } = raw as Record<string, unknown>;
  const known = texts(labels ?? {});
  if (known === null) return invalidItem('labels', 'must be an object with string values');
  if (Object.keys(known).length === 0) return invalidItem('labels', 'at least one label pair required');
  if (Object.hasOwn(known, '')) return invalidItem('labels', 'a name must not be empty');
  const notes = texts(annotations ?? {});
  if (notes === null) return invalidItem('annotations', 'must be an object with string values');
  const starts = timeOf(startsAt);
  const ends = timeOf(endsAt);
  if (Number.isNaN(starts)) return invalidItem('startsAt', 'must be an RFC 3339 time');
  if (Number.isNaN(ends)) return invalidItem('endsAt', 'must be an RFC 3339 time');
  if (starts !== null && ends !== null && ends < starts) return invalidItem('endsAt', 'is before startsAt');
  if (generatorURL !== undefined && generatorURL !== null && typeof generatorURL !== 'string') {
    return invalidItem('generatorURL', 'must be a string');
  }
  return {
    alert: {
      protocol: 'alertmanager',
      key: alertmanagerKey(known),
      action: 'trigger',
      labels: known,
      annotations: notes,
      severity: receivedSeverity(known.severity),
      summary: notes.summary ?? notes.message ?? notes.description ?? known.alertname ?? wordsOf(known),
      generator_url: generatorURL || null,
      // An alert that has ended and has no start began when it ended. Alertmanager itself would let an alert
      // with a future end start only then.
      starts_at: starts ?? Math.min(now, ends ?? now),
      ends_at: ends ?? Math.max(now, starts ?? now) + RESOLVE_TIMEOUT_MS,
      ends_explicit: ends !== null,
    },
  };
}

/** The entries that have a value; null if it is not an object of strings. */
function texts(given: unknown): Record<string, string> | null {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) return null;
  const entries = Object.entries(given);
  if (entries.some(([, value]) => typeof value !== 'string')) return null;
  return Object.fromEntries(
    entries
      .filter(([, value]) => value !== '')
      .map(([name, value]) => [storableText(name), storableText(value)]),
  );
}

/**
 * Parses a time into epoch ms. Null if there is none, which Go writes as the year 1; NaN if it is not a time.
 * A time that an incident cannot have becomes the nearest possible one, because senders write the end of the
 * year 9999 for "never".
 */
function timeOf(given: unknown): number | null {
  if (given === undefined || given === null || given === '') return null;
  if (typeof given !== 'string') return Number.NaN;
  return given.startsWith('0001-01-01') ? null : Math.min(Math.max(parseInstant(given), 0), NEVER);
}

const wordsOf = (labels: Record<string, string>) =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
