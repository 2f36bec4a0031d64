import { OVERFLOW_GROUP } from './group.ts';

/** What a process remembers about a rule's groups, until the rule changes. */
export interface KnownGroups {
  readonly admitted: Set<string>;
  /**
   * `room`: there may be room for further groups. `full`: there was none, and the admitted groups must be
   * read. `complete`: `admitted` has all groups, and there is no room.
   */
  state: 'room' | 'full' | 'complete';
}

/** Says where the events of a group count: in the group if it is admitted, else in the overflow group. */
export const placeOf = (group: string, admitted: ReadonlySet<string>): string =>
  admitted.has(group) ? group : OVERFLOW_GROUP;

/**
 * Like `placeOf`, as far as this process knows. Null if PostgreSQL must be asked; it admits the group if
 * there is room.
 */
export function knownPlaceOf(group: string, known: KnownGroups | null): string | null {
  if (group === OVERFLOW_GROUP || known?.admitted.has(group)) return group;
  return known?.state === 'complete' ? OVERFLOW_GROUP : null;
}
