import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** A folder within the project, so that compiled files find the project's packages. */
const PLACE = join(ROOT, 'node_modules/.cache/tocsin-clients');

/** Compiles TypeScript files, by name, with all strict options. @returns the folder of the JavaScript */
export async function compile(
  name: string,
  files: Record<string, string>,
  changes: string[] = [],
): Promise<string> {
  const place = join(PLACE, `${name}-${process.pid}`);
  rmSync(place, { recursive: true, force: true });
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(place, file)), { recursive: true });
    writeFileSync(join(place, file), text);
  }
  writeFileSync(join(place, 'package.json'), '{"type": "module"}');
  const options = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', '--target', 'esnext'];
  const modules = ['--module', 'nodenext', '--moduleResolution', 'nodenext', '--types', 'node'];
  const sources = Object.keys(files).map((file) => join(place, file));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [
    tsc,
    '--ignoreConfig',
    ...options,
    ...modules,
    ...changes,
    '--outDir',
    place,
    ...sources,
  ]);
  return place;
}

/** Removes the compiled files. */
export function removeCompiled(place: string): void {
  rmSync(place, { recursive: true, force: true });
}

/** Runs a program to its end. @returns its output @throws Error with the output if it fails */
export async function run(
  program: string,
  args: string[],
  { env = {}, cwd = ROOT }: { env?: Record<string, string>; cwd?: string } = {},
): Promise<string> {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env } });
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  child.stderr.on('data', (data) => {
    output += data;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${output.slice(-8000)}`);
  return output;
}
