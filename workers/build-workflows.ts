import { resolve } from 'node:path';
import { BUNDLE_FILE, buildWorkflows } from './workflow-bundle.ts';

/**
 * Bundles the workflows into a file: `node workers/build-workflows.ts [FILE]`. Set WORKFLOW_BUNDLE to its
 * name.
 */
const file = resolve(process.argv[2] ?? BUNDLE_FILE);
const { bytes } = await buildWorkflows(file);
process.stdout.write(`${file}: ${Math.round(bytes / 1024)} KiB\n`);
