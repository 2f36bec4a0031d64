import { join } from 'node:path';
import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

const root = join(import.meta.dirname, '../../..');
const silence = () => {};
const quiet = { log: silence, trace: silence, debug: silence, info: silence, warn: silence, error: silence };
const bundles = new Map<string, Promise<WorkflowBundleWithSourceMap>>();

/**
 * The workflow code of a file, whose path begins at the root of the repository. It is bundled once per test
 * run.
 */
export function bundleOf(path: string): Promise<WorkflowBundleWithSourceMap> {
  const made = bundles.get(path) ?? bundleWorkflowCode({ workflowsPath: join(root, path), logger: quiet });
  bundles.set(path, made);
  return made;
}
