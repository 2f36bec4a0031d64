import { hash } from 'node:crypto';

/** Fits a text into `source_id`, which has 3 to 100 characters. Shorter ones are filled with `_`. */
export function fitSource(text: string): string {
  return shortened(text, 100).padEnd(3, '_');
}

/** Fits a text into `event_type`, which has up to 64 characters. */
export function fitType(text: string): string {
  return shortened(text, 64);
}

/**
 * Shortens a text: it keeps the beginning and appends a hash of the whole text. Other formats have no such
 * limits, and their senders cannot choose shorter names, so long names are not refused. Equal texts stay
 * equal, and different ones stay different.
 */
export function shortened(text: string, longest: number): string {
  if (text.length <= longest) return text;
  const kept = text.slice(0, longest - 9).replace(/[\ud800-\udbff]$/, '');
  return `${kept}~${hash('sha256', text).slice(0, 8)}`;
}
