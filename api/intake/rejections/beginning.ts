/** How much of a refused item is stored, in characters. */
const ITEM_LENGTH = 2048;

/**
 * The first characters of a refused item: lines as they came, anything else as JSON. It writes no more than
 * is stored, and nesting cannot exhaust the stack, because each level takes a character.
 */
export function beginning(item: unknown): string {
  if (typeof item === 'string') return item.slice(0, ITEM_LENGTH);
  let text = '';
  const full = () => text.length >= ITEM_LENGTH;
  const write = (value: unknown): void => {
    if (typeof value === 'string') text += JSON.stringify(value.slice(0, ITEM_LENGTH));
    else if (value === null || typeof value !== 'object') text += JSON.stringify(value) ?? 'null';
    else if (Array.isArray(value)) writeAll('[', value.entries(), ']', false);
    else writeAll('{', entriesOf(value), '}', true);
  };
  const writeAll = (open: string, entries: Iterable<[unknown, unknown]>, close: string, named: boolean) => {
    text += open;
    let first = true;
    for (const [key, value] of entries) {
      if (full()) return;
      if (!first) text += ',';
      first = false;
      if (named) text += `${JSON.stringify((key as string).slice(0, ITEM_LENGTH))}:`;
      write(value);
    }
    text += close;
  };
  write(item);
  return text.slice(0, ITEM_LENGTH);
}

function* entriesOf(value: object): Generator<[string, unknown]> {
  for (const key in value) yield [key, value[key as keyof typeof value]];
}
