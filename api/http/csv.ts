import { stringify } from 'csv-stringify/sync';

/**
 * Finds what a spreadsheet could read as a formula.
 *
 * The first part matches where a spreadsheet may begin a cell: at the start, and after anything that
 * separates cells or rows in some locale. Quotes do not prevent that: a spreadsheet that splits at semicolons
 * honours a quote only at the beginning of a cell.
 *
 * The last part matches the characters that begin a formula; the wide forms do so in Japanese and Chinese
 * spreadsheets. The part between matches no separator, so that no character is looked at twice.
 */
const FORMULAS = /(^|[;|\t\r\n])((?:[^\S\t\r\n]|["'])*)(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/g;

/**
 * Cells that are quoted although RFC 4180 does not require it: those that a spreadsheet of another locale
 * would split, and those with an added apostrophe.
 */
const QUOTED = /[;|\t\r\n]|^[\s"]*'/;

/** Adds an apostrophe, so that a spreadsheet shows the text instead of computing it. */
export const defused = (cell: string) => cell.replace(FORMULAS, "$1$2'");

/**
 * Writes rows as CSV (RFC 4180). No cell is a formula in any locale, so that a downloaded file cannot attack
 * its reader.
 */
export function asCsv(rows: readonly (readonly string[])[]): string {
  return stringify(
    rows.map((row) => row.map(defused)),
    { quoted_match: QUOTED },
  );
}
