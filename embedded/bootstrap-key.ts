import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isSecret, makeSecret } from '../domain/keys/key.ts';

/**
 * `node embedded/bootstrap-key.ts <file>` writes a new key for BOOTSTRAP_KEY_FILE into a file that only its
 * owner can read. An existing file is not changed. The key is printed only with `--show`, because what a
 * service prints stays in its log.
 */
const { values, positionals } = parseArgs({ options: { show: { type: 'boolean' } }, allowPositionals: true });
const [path] = positionals;
if (!path) {
  console.error('Name the file for the key: node embedded/bootstrap-key.ts [--show] FILE');
  process.exit(2);
}
try {
  // With `--show` the file is only read, because the caller may not be allowed to write there.
  const made = !values.show && make(path);
  const key = readFileSync(path, 'utf8').trim();
  if (!isSecret('key', key)) throw new Error(`${path} does not contain a key`);
  if (values.show) console.log(key);
  else {
    console.log(`The first key, which has every role, ${made ? 'is' : 'was made before: it is'} in ${path}.`);
    console.log(`To see it: node embedded/bootstrap-key.ts --show ${path}`);
  }
} catch (error) {
  console.error(`The key could not be ${values.show ? 'read' : 'made'}: ${(error as Error).message}`);
  process.exitCode = 1;
}

/**
 * Writes a new key to `file`, completely or not at all. Returns false if the file exists, perhaps written by
 * a process that started at the same time.
 */
function make(file: string): boolean {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${makeSecret('key')}\n`, { mode: 0o600 });
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    unlinkSync(draft);
  }
}
