import { v5 as uuidv5 } from 'uuid';
import type { Event } from '../events/event.ts';
import { reserved } from '../reserved-id.ts';
import type { SimulatedSettings } from './producer.ts';
import { extraRate, fnv1a, MAX_BATCH_EVENTS, ordinals, type Span } from './tick.ts';

const NAMESPACE = '5a7b4a6e-3c1d-5f0b-9d6e-0f5d0a3e2b71';

/**
 * The id of a producer's event, from source, sequence and tick. A repeated batch therefore has the same ids.
 * @param kind `undefined` for batches from before ids were reserved, because their events may be stored under
 * the old ids
 */
export function producedEventId(
  sourceId: string,
  sequence: number,
  tickAt: number,
  kind: 'reserved' | undefined,
): string {
  const id = uuidv5(`event/${sourceId}/${sequence}/${tickAt}`, NAMESPACE);
  return kind === 'reserved' ? reserved(id) : id;
}

/** The id of the dead letter of a batch, or of one event of it. */
export function deadLetterId(kind: 'batch' | 'event', sourceId: string, sequence: number, tickAt: number) {
  return uuidv5(`dead-letter/${kind}/${sourceId}/${sequence}/${tickAt}`, NAMESPACE);
}

/**
 * Makes the events of a batch, ordered by sequence. It is a pure function of its arguments. Times are whole
 * milliseconds within the span.
 */
export function simulateBatch(
  sourceId: string,
  settings: SimulatedSettings,
  firstSequence: number,
  span: Span & { ids?: 'reserved' },
): Event[] {
  return moments(settings, span).map(({ at, back, burst }, i) => {
    const sequence = firstSequence + i;
    const random = mulberry32(fnv1a(`${settings.seed}/${sourceId}/${sequence}`));
    const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
    return {
      event_id: producedEventId(sourceId, sequence, span.tick_at, span.ids),
      source_id: sourceId,
      occurred_at: Math.max(span.from_at + 1, Math.min(span.tick_at, at - Math.floor(random() * back))),
      severity: burst?.severity ?? pick(settings.severities),
      event_type: burst?.event_type ?? pick(settings.event_types),
      payload: { value: 50 + Math.floor(random() * 50), unit: 'percent', sequence },
    };
  });
}

/**
 * Computes when each event is due, and by how many milliseconds it may be moved earlier, so that the events
 * are not evenly spaced.
 */
function moments(settings: SimulatedSettings, span: Span) {
  const { steady, extra } = ordinals(settings, span);
  const { burst } = settings;
  const due: { at: number; back: number; burst: SimulatedSettings['burst'] }[] = [];
  const spacing = 1000 / settings.rate_per_second;
  for (let k = steady.from + 1; k <= steady.to; k += 1) {
    due.push({ at: Math.ceil(k * spacing), back: spacing, burst: null });
  }
  if (burst) {
    const length = burst.length_seconds * 1000;
    const extraSpacing = 1000 / extraRate(settings);
    // The additional events are spread evenly over the time within bursts. The last instant of a burst does
    // not belong to the next one.
    const firstStart = Math.floor(span.from_at / (burst.every_seconds * 1000));
    for (let k = extra.from + 1; k <= extra.to; k += 1) {
      const cycle = Math.max(firstStart, Math.ceil((k * extraSpacing) / length) - 1);
      const into = Math.max(0, Math.ceil(k * extraSpacing - cycle * length));
      const at = cycle * burst.every_seconds * 1000 + Math.min(into, length);
      due.push({ at, back: Math.min(into, extraSpacing), burst });
    }
  }
  return due.sort((a, b) => a.at - b.at).slice(0, MAX_BATCH_EVENTS);
}

/**
 * mulberry32 by Tommy Ettinger (public domain): a small random generator with a seed, good enough for
 * simulated events.
 */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
