import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

const dir = join(import.meta.dirname, '../releases');
const silence = () => {};
const quiet = { log: silence, trace: silence, debug: silence, info: silence, warn: silence, error: silence };
const bundles = new Map<string, Promise<WorkflowBundleWithSourceMap>>();

/** Releases whose workflow code was kept, oldest first. */
export const releases: readonly string[] = readdirSync(dir)
  .filter((name) => existsSync(join(dir, name, 'workflows/index.ts')))
  .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));

export const lastRelease = releases.at(-1)!;

/** The workflows of a release, or today's. Bundled with the SDK that is installed, once a test run. */
export function workflowsOf(release: string | 'today'): Promise<WorkflowBundleWithSourceMap> {
  const folder =
    release === 'today' ? join(import.meta.dirname, '../../workflows') : join(dir, release, 'workflows');
  const made =
    bundles.get(folder) ?? bundleWorkflowCode({ workflowsPath: join(folder, 'index.ts'), logger: quiet });
  bundles.set(folder, made);
  return made;
}
