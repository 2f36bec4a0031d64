/** Says whether PostgreSQL can store the text: no NUL, no broken surrogates. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/**
 * Makes a text storable: PostgreSQL cannot store NUL or half of a surrogate pair. The rest of the text is
 * kept.
 */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}

/** Writes JSON that PostgreSQL can store, whatever its texts contain. */
export function storableJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'string' ? storableText(item) : item,
  );
}
