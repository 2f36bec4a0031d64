import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * `npm run check:columns`: fails if a line of Markdown, or a line with a comment, is longer than `LIMIT`
 * columns. Biome formats code, but does not wrap comments.
 */
const LIMIT = 110;

/** Files that record what a release was, or that a program writes. */
const FROZEN = /^(test\/(releases|histories)\/|db\/migrations\/|package-lock\.json)/;

const files = execFileSync('git', ['ls-files', '*.md', '*.ts'], { encoding: 'utf8' }).split('\n');
const tooLong = files
  .filter((file) => file !== '' && !FROZEN.test(file))
  .flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .map((line, index) => ({ line, place: `${file}:${index + 1}` }))
      .filter(({ line }) => [...line].length > LIMIT && isProse(file, line)),
  );
for (const { place, line } of tooLong) {
  process.stderr.write(`${place}: ${[...line].length} columns, at most ${LIMIT}\n`);
}
process.exitCode = tooLong.length > 0 ? 1 : 0;

/** Long URLs stay in one line. */
function isProse(file: string, line: string): boolean {
  if (/^\S*https?:\/\/\S+$/.test(line.trim())) return false;
  return file.endsWith('.md') || /^\s*(\/\/|\/?\*)|\s\/\/ /.test(line);
}
