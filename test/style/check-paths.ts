import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * `npm run check:paths`: fails if Markdown names a file or folder of this repository that does not exist.
 * It checks the targets of relative links, and words in backticks that begin with a folder at the root, or
 * that are the name of a `.ts` or `.md` file. `<name>` and `*` in a path stand for any name.
 */

/** Files that describe earlier releases, whose paths may be gone. */
const HISTORY = /^(test\/(releases\/\d|histories)|CHANGELOG\.md)/;

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(file));
const parents = files.flatMap((file) => file.split('/').map((_, depth, parts) => parts.slice(0, depth)));
const paths = new Set([...files, ...parents.map((parts) => parts.join('/'))]);
const roots = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]!));
const fileNames = new Set(files.map((file) => file.split('/').at(-1)!));

const missing = files
  .filter((file) => file.endsWith('.md') && !HISTORY.test(file))
  .flatMap((file) => {
    const prose = withoutCodeBlocks(readFileSync(file, 'utf8'));
    return [
      ...namedPaths(prose).filter((path) => !exists(path)),
      ...linkTargets(prose).filter((target) => !existsSync(join(dirname(file), target))),
    ].map((path) => `${file}: ${path} does not exist`);
  });
for (const line of missing) process.stderr.write(`${line}\n`);
process.exitCode = missing.length > 0 ? 1 : 0;

function withoutCodeBlocks(text: string): string {
  return text.replaceAll(/^```.*?^```/gms, '');
}

function namedPaths(prose: string): string[] {
  return [...prose.matchAll(/`([^`]+)`/g)]
    .flatMap(([, code]) => code!.split(/\s+/))
    .map((word) => word.replace(/^\.\//, ''))
    .filter((word) => roots.has(word.split('/')[0]!) || /^[\w-]+(\.[\w-]+)*\.(ts|md)$/.test(word))
    .filter((word) => /^[\w./<>{},*-]+$/.test(word) && !/^[\w-]+$/.test(word))
    .flatMap(withoutBraces);
}

function linkTargets(prose: string): string[] {
  return [...prose.matchAll(/\]\(([^)#\s]+)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^\w+:/.test(target));
}

/** Expands `a/{b,c}.ts` to a/b.ts and a/c.ts. */
function withoutBraces(path: string): string[] {
  const [, before, choices, after] = /^([^{]*)\{([^}]*)\}(.*)$/.exec(path) ?? [];
  if (choices === undefined) return [path];
  return choices.split(',').flatMap((choice) => withoutBraces(`${before}${choice}${after}`));
}

function exists(path: string): boolean {
  const wanted = path.replace(/\/$/, '');
  if (paths.has(wanted) || fileNames.has(wanted)) return true;
  if (!/[<*]/.test(wanted)) return false;
  const pattern = wanted.replaceAll('.', '\\.').replaceAll(/<[^>]*>|\*/g, '[^/]+');
  return [...paths].some((known) => new RegExp(`^${pattern}$`).test(known));
}
