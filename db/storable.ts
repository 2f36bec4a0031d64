/** Whether PostgreSQL can keep the text as it is: no NUL, no broken surrogates. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/**
 * PostgreSQL keeps neither NUL nor half a surrogate pair: what is wrong with a text must not hide the rest of
 * it.
 */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}

/** JSON that PostgreSQL can keep, whatever its texts hold. */
export function storableJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'string' ? storableText(item) : item,
  );
}
