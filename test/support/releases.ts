import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bundleOf } from './stage/bundles.ts';

const dir = join(import.meta.dirname, '../releases');

/** Releases whose workflow code was kept, oldest first. */
export const releases: readonly string[] = readdirSync(dir)
  .filter((name) => existsSync(join(dir, name, 'workflows/index.ts')))
  .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));

export const lastRelease = releases.at(-1)!;

/** The workflows of a release, or today's. Bundled with the SDK that is installed. */
export const workflowsOf = (release: string | 'today') =>
  bundleOf(release === 'today' ? 'workflows/index.ts' : `test/releases/${release}/workflows/index.ts`);
