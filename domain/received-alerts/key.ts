import { createHash } from 'node:crypto';
import { sortedEntries } from '../canonical-json.ts';

/**
 * The identity of an Alertmanager alert: 32 hex digits of its label set, in any order. Labels without a value
 * are ignored.
 */
export function alertmanagerKey(labels: Record<string, string>): string {
  const set = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''));
  return createHash('sha256')
    .update(JSON.stringify(sortedEntries(set)))
    .digest('hex')
    .slice(0, 32);
}

/**
 * The identity of a PagerDuty event. `scope` is the id of its ingest key, without a slash, so that no key can
 * resolve the alerts of another.
 */
export function pagerdutyKey(scope: string, dedupKey: string): string {
  return `${scope}/${dedupKey}`;
}
