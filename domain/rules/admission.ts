import { OVERFLOW_GROUP } from './group.ts';

/** What a process knows of a rule's groups, until the rule changes. */
export interface KnownGroups {
  readonly admitted: Set<string>;
  /**
   * `room`: there may be room for others. `full`: there was none; which groups are admitted will be read.
   * `complete`: those in `admitted` are all, and there is no room.
   */
  state: 'room' | 'full' | 'complete';
}

/** Where the events of a group count: in the group if it is admitted, else in the overflow group. */
export const placeOf = (group: string, admitted: ReadonlySet<string>): string =>
  admitted.has(group) ? group : OVERFLOW_GROUP;

/**
 * The same, as far as it is known. Null if PostgreSQL must be asked, which admits the group if there is room.
 */
export function knownPlaceOf(group: string, known: KnownGroups | null): string | null {
  if (group === OVERFLOW_GROUP || known?.admitted.has(group)) return group;
  return known?.state === 'complete' ? OVERFLOW_GROUP : null;
}
