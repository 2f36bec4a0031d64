const QUOTE = 0x22;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * How many members an object may have before V8 stores it as a hash table, and how many objects each further
 * member counts as.
 */
const CHEAP_MEMBERS = 100;
const MEMBER_COST = 4;

/**
 * Says, before parsing, whether a JSON text has more than `most` objects and lists. Parsed, 16 MiB of `{}`
 * took 650 MB of memory and blocked the process for two seconds; an object with 1.5 million members took 550
 * MB and nine seconds. So an object's members beyond a hundred count as well. Scanning a normal text of that
 * size takes 50 ms. Texts too short to reach the limit are not scanned.
 */
export function hasMoreObjects(text: string, most: number): boolean {
  if (text.length <= most) return false;
  let count = 0;
  let members = 0;
  let inString = false;
  for (let i = 0; i < text.length && count <= most; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === BACKSLASH) i++;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if (code === COLON) {
      if (++members > CHEAP_MEMBERS) count += MEMBER_COST;
    } else if (code === OPEN_OBJECT || code === OPEN_LIST) {
      count++;
      members = 0;
    } else if (code === CLOSE_OBJECT) members = 0;
  }
  return count > most;
}
