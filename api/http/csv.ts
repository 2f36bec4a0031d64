import { stringify } from 'csv-stringify/sync';

/**
 * The first part matches where a spreadsheet may see the beginning of a cell: at its start, and after
 * anything that separates cells or rows in some locale. Quotes do not protect a cell from a spreadsheet that
 * splits at semicolons: they count only at the beginning of what it takes for a cell.
 *
 * The last part matches what begins a formula; the wide forms do so in Japanese and Chinese spreadsheets. The
 * part between them matches no separator, so that no character is looked at twice.
 */
const FORMULAS = /(^|[;|\t\r\n])((?:[^\S\t\r\n]|["'])*)(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/g;

/**
 * Quoted although RFC 4180 has no need of it: what a spreadsheet of another locale would split, and what is
 * defused.
 */
const QUOTED = /[;|\t\r\n]|^[\s"]*'/;

/** An apostrophe makes a text of what a spreadsheet would compute. */
export const defused = (cell: string) => cell.replace(FORMULAS, "$1$2'");

/**
 * Rows as CSV (RFC 4180). Nobody should be attacked by a file that they download: no cell is a formula, in
 * any locale.
 */
export function asCsv(rows: readonly (readonly string[])[]): string {
  return stringify(
    rows.map((row) => row.map(defused)),
    { quoted_match: QUOTED },
  );
}
