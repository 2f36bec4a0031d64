const QUOTE = 0x22;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Members that an object has before V8 keeps it as a hash table, and what each further one costs, in objects.
 */
const CHEAP_MEMBERS = 100;
const MEMBER_COST = 4;

/**
 * Whether a JSON text has more objects and lists than so many, looked at before it is parsed: 16 MiB of `{}`
 * became 650 MB and stopped the process for two seconds, of an object with 1.5 million members 550 MB and
 * nine. So members in a row beyond a hundred count as well. Ordinary texts of that size take 50 ms to look
 * through; those that are too short to have so many are not looked at.
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
