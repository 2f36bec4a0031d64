import assert from 'node:assert/strict';
import { asCsv } from '../../../api/http/csv.ts';

/**
 * The cells as a spreadsheet sees them that splits at `separator` and honours quotes only at the beginning of
 * a cell.
 */
function cellsOf(line: string, separator: string): string[] {
  const cells: string[] = [];
  for (let rest = line; ; ) {
    const quoted = /^"((?:[^"]|"")*)"/.exec(rest);
    const begun = quoted ? quoted[1]!.replaceAll('""', '"') : '';
    const after = rest.slice(quoted?.[0].length ?? 0);
    const end = after.search(separator === '|' ? /\|/ : separator);
    cells.push(begun + (end < 0 ? after : after.slice(0, end)));
    if (end < 0) return cells;
    rest = after.slice(end + 1);
  }
}

const FORMULA = /^[\s"]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]/;

describe('the CSV export', () => {
  const hostile = ['=', '+', '-', '@', '\uFF1D', '\uFF0B', '\uFF0D', '\uFF20'].flatMap((sign) =>
    [
      '',
      ' ',
      '"',
      '\'"',
      '\t',
      '\r',
      '\n',
      'x;',
      'x; ',
      'x;"',
      'x;""',
      'x\t',
      'x|',
      'x\n',
      'x\r',
      'x,',
      '",',
    ].map((before) => `${before}${sign}1+1`),
  );

  for (const [name, separator] of [
    ['comma', ','],
    ['semicolon', ';'],
    ['tab', '\t'],
    ['bar', '|'],
  ] as const) {
    it(`no cell is a formula in a spreadsheet that separates at the ${name}`, () => {
      for (const cell of hostile) {
        const text = asCsv([['first', cell, 'x']]).replace(/\n$/, '');
        // A spreadsheet that splits at commas reads quotes as in RFC 4180. Others may see a line end even
        // inside quotes.
        const lines = separator === ',' ? [text] : text.split(/[\r\n]/);
        for (const line of lines) {
          for (const seen of cellsOf(line, separator)) {
            assert.doesNotMatch(seen, FORMULA, JSON.stringify({ cell, text, seen }));
          }
        }
      }
    });
  }

  it('all other values are unchanged', () => {
    const row = ['a-b', '{"a":-1,"b":[2,-3]}', '2026-01-01T00:00:00.000Z', '1+1', 'x;y'];
    assert.equal(asCsv([row]), 'a-b,"{""a"":-1,""b"":[2,-3]}",2026-01-01T00:00:00.000Z,1+1,"x;y"\n');
  });
});
