/*
 * Ids that only Tocsin gives: UUIDs of version 8 (RFC 9562, 5.8) that begin in one way. Whatever is told by
 * an id that can be computed, a sender could otherwise store first: the tick of a check, and the change of an
 * alert, would then be taken for a repetition.
 */
const BEGIN = '70c51000';

/** A reserved id of an id made by hashing; 90 bits of the hash remain. */
export function reserved(id: string): string {
  return `${BEGIN}${id.slice(8, 14)}8${id.slice(15)}`;
}

/** Whether no sender may give an event this id; it is in lower case. */
export function isReserved(id: string): boolean {
  return id.startsWith(BEGIN) && id[14] === '8';
}
