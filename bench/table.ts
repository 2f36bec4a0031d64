/** The median: the middle number, or the mean of the two middle ones. */
export function median(numbers: readonly number[]): number {
  return percentile(numbers, 0.5);
}

/** The percentile of a share (0 to 1), interpolated. NaN if there are no numbers. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** Prints a table: headings, then rows, with numbers aligned to the right. */
export function printTable(headings: readonly string[], rows: readonly (readonly unknown[])[]): void {
  const cells = [headings, ...rows].map((row) => row.map(String));
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const toRight = headings.map((_, column) =>
    rows.every((row) => /^[\d.,-]+( \S+)?$/.test(String(row[column]))),
  );
  for (const [i, row] of cells.entries()) {
    const line = row.map((cell, column) =>
      toRight[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
    );
    console.log(line.join('  ').trimEnd());
    if (i === 0) console.log(widths.map((width) => '─'.repeat(width)).join('  '));
  }
}
