import { storableText } from '../../db/storable.ts';
import { receivedSeverity } from '../../domain/events/severity.ts';
import { parseInstant } from '../../domain/instant.ts';
import { alertmanagerKey, NEVER } from '../../domain/received-alerts/alert.ts';
import { type ConvertedAlert, invalidItem } from './converted.ts';

/**
 * How long an alert without an end holds unless it is sent again: Alertmanager's `resolve_timeout`, in
 * milliseconds.
 */
export const RESOLVE_TIMEOUT_MS = 5 * 60_000;

/**
 * An alert as Alertmanager's API v2 takes it (`postableAlert`). Labels and annotations without a value are
 * none; the label set is its identity. Names are any UTF-8, as Alertmanager has them since 0.27.
 * @param now epoch ms: the start of one without a start, and 5 minutes from the end of one without an end
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
      // One that is over and says no start was over at once. Alertmanager would have one with an end to come
      // start only then.
      starts_at: starts ?? Math.min(now, ends ?? now),
      ends_at: ends ?? Math.max(now, starts ?? now) + RESOLVE_TIMEOUT_MS,
      ends_explicit: ends !== null,
    },
  };
}

/** Those with a value; null for what is no record of texts. */
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
 * Epoch ms; null if no time is given, which Go writes as the year 1; NaN if it is not a time. A time outside
 * of what an incident can have becomes the nearest one that it can: senders write the end of the year 9999
 * for "never".
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
