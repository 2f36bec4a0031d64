import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Keeps the workflow code of a release for the upgrade test: `npm run release:keep`, once, when a release is made.
 * It copies workflows/ and what that imports of domain/ to test/releases/<version>/.
 */
const root = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const target = join(import.meta.dirname, version);
if (existsSync(target)) {
  process.stderr.write(`${target} exists: what a release ran never changes. Raise the version first.\n`);
  process.exit(1);
}
const files = closure(readdirSync(join(root, 'workflows')).map((name) => `workflows/${name}`));
for (const file of files) {
  mkdirSync(dirname(join(target, file)), { recursive: true });
  cpSync(join(root, file), join(target, file));
}
process.stdout.write(`kept ${files.length} files in ${target}\n`);

/** The files and whatever they import at run time. Types of activities are erased, so activities stay out. */
function closure(files: readonly string[]): string[] {
  const found = new Set(files);
  for (const file of found) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, type, path] of text.matchAll(/^(?:import|export)( type)?[^;]*?from '(\.[^']+)'/gm)) {
      if (!type) found.add(join(dirname(file), path!));
    }
  }
  return [...found].sort();
}
