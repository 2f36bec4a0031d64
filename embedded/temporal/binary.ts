import { join } from 'node:path';
import { cacheDir, fill } from '../cache.ts';
import { downloadBySdk, onPath, runToEnd } from '../fetch-program.ts';
import { isExecutable } from '../processes/executable.ts';
import type { Log } from '../processes/process.ts';
import { StartupError } from '../startup-error.ts';

/** The last version of the CLI that `go install` accepts. It contains server 1.29. */
const cliVersion = '1.5.1';
const buildMs = 45 * 60_000;

/**
 * Finds a Temporal CLI with a dev server: on PATH, or in the cache. The first call fills the cache by the
 * SDK's download or, if that fails, by compiling the CLI with Go.
 * @throws StartupError if neither works
 */
export async function findTemporal({ log }: { log: Log }): Promise<string> {
  const installed = onPath('temporal', ['server', 'start-dev', '--help']);
  if (installed) return installed;
  const dir = cacheDir(`temporal-cli-${cliVersion}`);
  const path = join(dir, 'temporal');
  const isMade = () => isExecutable(path);
  if (isMade() || (await fill(dir, isMade, (unfinished) => make(unfinished, log), log))) return path;
  throw new StartupError(
    'There is no Temporal server here, and neither its download nor a build with Go worked: install the "temporal" ' +
      'command (or Go 1.24 or newer), or set TEMPORAL_ADDRESS to a running server.',
  );
}

async function make(dir: string, log: Log): Promise<boolean> {
  log('Temporal: downloading its dev server, once');
  if (await downloadBySdk('dev-server', dir, 'temporal')) return true;
  const go = onPath('go', ['version']);
  if (!go) return false;
  log('Temporal: the download is out of reach, so it is built with Go, once: this takes about 4 minutes');
  return runToEnd({
    command: go,
    args: ['install', '-ldflags=-s -w', `github.com/temporalio/cli/cmd/temporal@v${cliVersion}`],
    env: { ...process.env, GOBIN: dir },
    logFile: join(dir, 'build.log'),
    limitMs: buildMs,
    progress: { log, what: 'Temporal: still building' },
  });
}
