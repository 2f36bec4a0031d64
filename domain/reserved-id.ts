/*
 * Ids that only Tocsin may give: UUIDs of version 8 (RFC 9562, 5.8) with this beginning. Some of our own
 * events have ids that can be computed, for example the ticks of checks and the changes of alerts. Without
 * the reservation a sender could store such an id first, and our event would count as a duplicate.
 */
const BEGIN = '70c51000';

/** Converts an id made by hashing into a reserved one. 90 bits of the hash remain. */
export function reserved(id: string): string {
  return `${BEGIN}${id.slice(8, 14)}8${id.slice(15)}`;
}

/** Says whether senders may not use this id. The id must be in lower case. */
export function isReserved(id: string): boolean {
  return id.startsWith(BEGIN) && id[14] === '8';
}
