import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import ts from 'typescript';
import { bearerOf } from '../../api/auth/key-access.ts';
import { defused } from '../../api/http/csv.ts';
import { endOfPath, parsePath } from '../../domain/events/path.ts';
import { parseInstant } from '../../domain/instant.ts';
import { parseLabelFilter } from '../../ingest/formats/label-filter.ts';
import { cutText } from '../../ingest/formats/repair.ts';
import { rfc3339 } from '../../ingest/formats/time.ts';

/*
 * A regular expression that reads input from others must not take quadratic time. Each one is tested with
 * texts that begin like a match, repeat one piece many times, and end with a character that cannot match.
 */

/**
 * The length at which the slowest texts are searched, and the length up to which they are followed: that of a
 * line of a stream.
 */
const SHORT = 2000;
const LONG = 256 << 10;

/**
 * How much more time eight times the length may take: eight times as much, and four times that for a noisy
 * machine. Quadratic time would be 64.
 */
const MORE = 8;
const MOST_RATIO = 32;

/** Shorter times are noise, in milliseconds. */
const MEASURABLE_MS = 5;

interface Pattern {
  place: string;
  source: string;
  flags: string;
}

/** These expressions read only files of our own, such as the page of Swagger UI. */
const OWN = ['api/http/docs.ts'];

/**
 * The regular expressions in all files that read input from others, and the places where one is built at run
 * time.
 */
function patternsIn(): { patterns: Pattern[]; built: string[] } {
  const patterns: Pattern[] = [];
  const built: string[] = [];
  for (const file of globSync('{api,domain,ingest}/**/*.ts').sort()) {
    if (OWN.includes(file)) continue;
    const tree = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
    const visit = (node: ts.Node): void => {
      if (ts.isRegularExpressionLiteral(node)) {
        const end = node.text.lastIndexOf('/');
        const { line } = tree.getLineAndCharacterOfPosition(node.getStart());
        patterns.push({
          place: `${file}:${line + 1}`,
          source: node.text.slice(1, end),
          flags: node.text.slice(end + 1),
        });
      }
      if (ts.isNewExpression(node) && node.expression.getText() === 'RegExp') built.push(file);
      ts.forEachChild(node, visit);
    };
    visit(tree);
  }
  return { patterns, built };
}

/** The characters and words in a pattern, to be repeated. */
function piecesOf(source: string): string[] {
  const words = source.match(/(?:\\[^a-zA-Z]|[\w :<>/=;,"'&-])+/g) ?? [];
  const plain = words.map((word) => word.replaceAll('\\', ''));
  const single = [...plain.join('')].concat(' ', '\n', '1', 'a', '"', '\\', '.', '\t');
  const pairs = [' \n', '1.', '""', '\\"', 'a ', '"]', '["', ']:1'];
  return [...new Set([...plain, ...single, ...pairs])].filter((piece) => piece !== '');
}

/** The beginnings of a few possible matches. */
function beginningsOf({ source, flags }: Pattern): string[] {
  // The generator does not support look-around and word boundaries.
  const without = source.replaceAll(/\(\?<?[=!](?:\\.|[^()[\]\\]|\[(?:\\.|[^\]])*\]|\([^()]*\))*\)|\\b/g, '');
  const matching = fc.stringMatching(new RegExp(without, flags.replaceAll(/[iy]/g, '')), { size: 'small' });
  const matches = fc.sample(matching, { seed: 1, numRuns: 3 });
  const all = matches.flatMap((match) => Array.from(match.slice(0, 16), (_, i) => match.slice(0, i + 1)));
  return [...new Set(['', ...all])];
}

type Text = (length: number) => string;

function hostile(beginnings: readonly string[], pieces: readonly string[]): Text[] {
  return beginnings.flatMap((beginning) =>
    pieces.flatMap((piece) =>
      ['', '\u0000', '!"'].map(
        (end) => (length: number) =>
          beginning + piece.repeat(Math.ceil(length / piece.length)).slice(0, length) + end,
      ),
    ),
  );
}

function timeOf(work: (text: string) => unknown, text: string, tries: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < tries; i++) {
    const before = performance.now();
    work(text);
    best = Math.min(best, performance.now() - before);
  }
  return best;
}

/**
 * Follows the slowest texts until their time can be measured, and compares it with the time for an eighth of
 * the length. Too much time at one length may be garbage collection; at two lengths in a row it is not.
 */
function requireLinear(work: (text: string) => unknown, texts: readonly Text[]): void {
  const slowest = texts
    .map((text) => ({ text, ms: timeOf(work, text(SHORT), 2) }))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, 3);
  for (const { text } of slowest) {
    let steep = 0;
    for (let length = SHORT; length <= LONG && steep < 2; length *= 2) {
      const ms = timeOf(work, text(length), 3);
      if (ms < MEASURABLE_MS) continue;
      const ratio = ms / timeOf(work, text(length / MORE), 3);
      if (ratio < MOST_RATIO) break;
      steep++;
      const what = JSON.stringify(text(40));
      assert.ok(steep < 2, `${what}: ${length} characters take ${ms} ms, ${ratio} times an eighth of it`);
    }
  }
}

describe('regular expressions', () => {
  const { patterns, built } = patternsIn();

  it('are literals, except those that are built from our own parts', () => {
    assert.deepEqual(built, ['api/auth/cookie.ts', 'domain/keys/key.ts']);
    assert.ok(patterns.length > 40, `${patterns.length} were found`);
  });

  for (const pattern of patterns) {
    const flags = pattern.flags.replace('y', '');
    it(`take linear time: /${pattern.source}/${pattern.flags} (${pattern.place})`, () => {
      const expression = new RegExp(pattern.source, flags);
      requireLinear(
        (text) => text.replace(expression, ''),
        hostile(beginningsOf(pattern), piecesOf(pattern.source)),
      );
    });
  }

  const pieces = piecesOf(String.raw`"\=~!{}[].: TZ+-0`).concat('\n=', '["a"]', '… [cut from 1');
  for (const work of [
    defused,
    parsePath,
    endOfPath,
    parseLabelFilter,
    rfc3339,
    parseInstant,
    short,
    bearer,
  ]) {
    it(`take linear time in ${work.name}`, () => {
      requireLinear(work, hostile(['', 'a=', '["', '2026-01-01T', 'Bearer '], pieces));
    });
  }
});

function short(text: string): string {
  return cutText(text, text.length - 1);
}

function bearer(text: string): unknown {
  try {
    return bearerOf(text);
  } catch (error) {
    return error;
  }
}
