import type { ProducerSettings, SimulatedSettings } from './producer.ts';

/** The largest simulated batch, in events. Larger ones would only take longer to commit. */
export const MAX_BATCH_EVENTS = 1000;

/** How often a source without events sends an empty batch, in milliseconds, to report its progress. */
const QUIET_MS = 60_000;

/**
 * The event time that a batch covers: from `from_at` (excluded) to its tick (included). Epoch milliseconds.
 */
export interface Span {
  from_at: number;
  tick_at: number;
}

/** Milliseconds between two ticks of a source. */
export function tickMs(settings: ProducerSettings): number {
  return settings.kind === 'simulated' ? settings.tick_ms : settings.interval_seconds * 1000;
}

/** The hash FNV-1a, 32 bits (draft-eastlake-fnv), over UTF-16 code units. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}

/**
 * The last tick at or before an instant. Each source has its own phase, so that a thousand sources do not
 * tick at the same time.
 */
export function tickAtOrBefore(sourceId: string, settings: ProducerSettings, at: number): number {
  const tick = tickMs(settings);
  const phase = fnv1a(sourceId) % tick;
  return Math.floor((at - phase) / tick) * tick + phase;
}

/**
 * How many milliseconds of bursts lie between 1970 and an instant. Bursts start at multiples of
 * `every_seconds`, at the same time for all sources.
 */
function burstMs(burst: { every_seconds: number; length_seconds: number }, at: number): number {
  const every = burst.every_seconds * 1000;
  const length = burst.length_seconds * 1000;
  return Math.floor(at / every) * length + Math.min(at % every, length);
}

/**
 * How many events lie between 1970 and an instant. Counts thus depend on time only, however it is divided
 * into batches.
 */
function emittedUpTo(settings: SimulatedSettings, at: number): { steady: number; extra: number } {
  const { rate_per_second, burst } = settings;
  return {
    steady: Math.floor((rate_per_second * at) / 1000),
    extra: burst ? Math.floor((extraRate(settings) * burstMs(burst, at)) / 1000) : 0,
  };
}

/** How many events per second a burst adds to the steady rate. */
export function extraRate({ rate_per_second, burst }: SimulatedSettings): number {
  return burst ? rate_per_second * Math.max(0, burst.factor - 1) : 0;
}

/**
 * The numbers, counted since 1970, of the steady and the additional events of a span: after `from`, up to and
 * including `to`.
 */
export function ordinals(settings: SimulatedSettings, { from_at, tick_at }: Span) {
  const from = emittedUpTo(settings, from_at);
  const to = emittedUpTo(settings, tick_at);
  return { steady: { from: from.steady, to: to.steady }, extra: { from: from.extra, to: to.extra } };
}

/** The number of events in the batch of a span. */
export function batchSize(settings: ProducerSettings, span: Span): number {
  if (settings.kind === 'http-check') return 1;
  const { steady, extra } = ordinals(settings, span);
  return Math.min(MAX_BATCH_EVENTS, steady.to - steady.from + extra.to - extra.from);
}

/** The next batch after an instant up to which everything was emitted. Ticks without an event are skipped. */
export function nextSpan(sourceId: string, settings: ProducerSettings, coveredTo: number): Span {
  const tick = tickMs(settings);
  let tick_at = tickAtOrBefore(sourceId, settings, coveredTo) + tick;
  // A check happens at its tick and covers no time before.
  if (settings.kind === 'http-check') return { from_at: tick_at - 1, tick_at };
  let from_at = coveredTo;
  while (batchSize(settings, { from_at, tick_at }) === 0 && tick_at - coveredTo < QUIET_MS) {
    from_at = tick_at;
    tick_at += tick;
  }
  return { from_at, tick_at };
}

/**
 * Says why a source cannot run with these settings; null if it can. Batches must not exceed MAX_BATCH_EVENTS.
 */
export function settingsFlaw(settings: ProducerSettings): string | null {
  if (!(tickMs(settings) >= 10)) return 'ticks must be at least 10 ms apart';
  if (settings.kind === 'http-check') {
    return /^https?:/i.test(settings.url) && URL.canParse(settings.url) ? null : 'url must be http or https';
  }
  if (!(settings.rate_per_second >= 0)) return 'rate_per_second must not be negative';
  if (!(settings.severities?.length > 0)) return 'severities must not be empty';
  if (!(settings.event_types?.length > 0)) return 'event_types must not be empty';
  const { burst } = settings;
  if (burst && !(burst.length_seconds >= 0 && burst.length_seconds <= burst.every_seconds)) {
    return 'a burst must not be longer than the time from one to the next';
  }
  const most = ((settings.rate_per_second + extraRate(settings)) * settings.tick_ms) / 1000;
  if (most <= MAX_BATCH_EVENTS) return null;
  return `${most} events a tick are more than the ${MAX_BATCH_EVENTS} of a batch: lower rate_per_second, the burst's factor or tick_ms`;
}
