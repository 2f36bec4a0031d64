import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { bundleWorkflowCode, type WorkflowBundleOption } from '@temporalio/worker';

const root = join(import.meta.dirname, '..');
/** The file that `npm run build:workflows` writes. */
export const BUNDLE_FILE = join(root, 'build', 'workflows.js');
/** The folders that a bundle is made of. Its first line contains a fingerprint of their files. */
const SOURCES = ['workflows', 'domain'];
const silence = () => {};
const quiet = { log: silence, trace: silence, debug: silence, info: silence, warn: silence, error: silence };

/**
 * The workflow code for a worker, from the named file or bundled now. Bundling takes seconds, memory, and a
 * writable folder for the compiler's native code.
 * @throws Error if the file is missing or was built from other sources, because that code would wedge running
 * workflows
 */
export async function workflowBundle(file: string | undefined): Promise<WorkflowBundleOption> {
  if (!file) return { code: await bundle() };
  const codePath = resolve(file);
  let code: string;
  try {
    code = readFileSync(codePath, 'utf8');
  } catch (error) {
    throw new Error(`WORKFLOW_BUNDLE: ${(error as Error).message}; npm run build:workflows makes it`, {
      cause: error,
    });
  }
  if (code.slice(0, code.indexOf('\n')) !== stamp()) {
    throw new Error(
      `WORKFLOW_BUNDLE: ${codePath} was built from other sources: run npm run build:workflows again`,
    );
  }
  return { codePath };
}

/**
 * Bundles the workflows into a file for WORKFLOW_BUNDLE. The file is replaced atomically, so workers that
 * start meanwhile read a complete one.
 */
export async function buildWorkflows(file: string): Promise<{ bytes: number }> {
  const text = `${stamp()}\n${await bundle()}`;
  await mkdir(dirname(file), { recursive: true });
  const unfinished = `${file}.${process.pid}`;
  await writeFile(unfinished, text);
  await rename(unfinished, file);
  return { bytes: Buffer.byteLength(text) };
}

async function bundle(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(root, 'workflows', 'index.ts'),
    logger: quiet,
  });
  return code;
}

/**
 * The first line of a bundle: a comment with the fingerprint of its sources. The SDK's version is part of it,
 * because the bundle contains SDK code.
 */
function stamp(): string {
  const hash = createHash('sha256');
  const sdk = JSON.parse(
    readFileSync(join(root, 'node_modules/@temporalio/workflow/package.json'), 'utf8'),
  ) as { version: string };
  hash.update(sdk.version);
  for (const folder of SOURCES) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).sort()) {
      if (name.endsWith('.ts'))
        hash.update(`\0${folder}/${name}\0`).update(readFileSync(join(root, folder, name)));
    }
  }
  return `// tocsin workflows ${hash.digest('hex')}`;
}
