import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { temporaryDirectory } from './temporary.ts';

const run = promisify(execFile);

/** Chromium under the names that distributions use; undefined if it is not installed. */
export const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
);

/**
 * Opens `url` in a new headless Chromium, and resolves to the page after its scripts have run. Each name in
 * `otherSites` resolves to this machine, as the name of another site could.
 */
export async function open(url: string, otherSites: string[] = []): Promise<string> {
  const rules = otherSites.map((name) => `MAP ${name} 127.0.0.1`).join(', ');
  const { stdout } = await run(
    chromium!,
    [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=10000', '--dump-dom'],
      ...[`--user-data-dir=${temporaryDirectory()}`, `--host-resolver-rules=${rules}`, url],
    ],
    { timeout: 60_000, maxBuffer: 16 << 20 },
  );
  return stdout;
}
