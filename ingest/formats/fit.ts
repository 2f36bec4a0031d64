import { hash } from 'node:crypto';

/** A text as `source_id`, which has 3 to 100 characters. A shorter one is filled up with `_`. */
export function fitSource(text: string): string {
  return shortened(text, 100).padEnd(3, '_');
}

/** A text as `event_type`, which has up to 64 characters. */
export function fitType(text: string): string {
  return shortened(text, 64);
}

/**
 * Other formats know no such limits, and their senders can't choose shorter names, so nothing is refused for
 * one: what is too long keeps its beginning and ends in a hash of all of it. The same text always fits the
 * same way, and two that differ stay apart.
 */
export function shortened(text: string, longest: number): string {
  if (text.length <= longest) return text;
  const kept = text.slice(0, longest - 9).replace(/[\ud800-\udbff]$/, '');
  return `${kept}~${hash('sha256', text).slice(0, 8)}`;
}
