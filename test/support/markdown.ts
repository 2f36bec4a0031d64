export interface Row {
  readonly first: string;
  /** The other cells, in order. */
  readonly rest: readonly string[];
  /** The cells of a row that is a list, by their header. */
  readonly by: Readonly<Record<string, string>>;
}

/**
 * The rows of a Markdown text: of tables (`| a
 * b
 *
 * c |`), and of lists with the same content: `- **a**: b`, or `- **a**` with the items `  - Header: b` under
 * it. Wrapped lines are joined.
 */
export function rowsOf(text: string): Row[] {
  const rows: { first: string; rest: string[]; by: Record<string, string> }[] = [];
  for (const line of text.replaceAll(/\n +(?![-*] |\d+\. )(?=\S)/g, ' ').split('\n')) {
    if (line.startsWith('| ')) {
      const [first, ...rest] = line.split('|').slice(1, -1);
      rows.push({ first: first!.trim(), rest: rest.map((cell) => cell.trim()), by: {} });
    }
    const [, first, cell] = /^- (\*\*.*?\*\*|.*?)(?:: (.*))?$/.exec(line) ?? [];
    if (first) rows.push({ first: first.replaceAll('**', ''), rest: cell ? [cell] : [], by: {} });
    const [, header, value] = /^ {2}- ([^:]*): (.*)$/.exec(line) ?? [];
    if (header) {
      rows.at(-1)!.rest.push(value!);
      rows.at(-1)!.by[header] = value!;
    }
  }
  return rows;
}
