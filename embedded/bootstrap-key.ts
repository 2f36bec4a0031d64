import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { isSecret, makeSecret } from '../domain/key.ts';

/**
 * `node embedded/bootstrap-key.ts <file>`: puts a new key for BOOTSTRAP_KEY_FILE there, readable by its owner alone, and prints it, this
 * once. A file that is there already stays as it is.
 */
const [path] = process.argv.slice(2);
if (!path) {
  console.error('Say where the key is to be kept.');
  process.exit(2);
}
try {
  const key = makeSecret('key');
  // Whole or not at all, and by one of several that are started at once.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${key}\n`, { mode: 0o600 });
  try {
    linkSync(draft, path);
    console.log(
      `The key to begin with, which has every role (shown only now, and kept in ${path}):\n\n  ${key}\n`,
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!isSecret('key', readFileSync(path, 'utf8').trim())) throw new Error(`what ${path} holds is no key`);
    console.log(`The key to begin with was made before: it is in ${path}.`);
  } finally {
    unlinkSync(draft);
  }
} catch (error) {
  console.error(`The key could not be made: ${(error as Error).message}`);
  process.exitCode = 1;
}
