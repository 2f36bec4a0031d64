import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TimeSkippingTestWorkflowEnvironmentOptions } from '@temporalio/testing';
import { cacheDir, fill } from '../cache.ts';
import { downloadBySdk, onPath, runToEnd } from '../fetch-program.ts';
import { isExecutable } from '../processes/executable.ts';
import type { Log } from '../processes/process.ts';
import { StartupError } from '../startup-error.ts';

const version = '1.32.1';
const fetchMs = 15 * 60_000;

/**
 * Makes options for `TestWorkflowEnvironment.createTimeSkipping`, with a test server that can skip days in a
 * second. The server comes from the cache. The first call fills it by the SDK's download or, if that fails,
 * with Maven.
 * @throws StartupError if neither works
 */
export async function timeSkippingServer({
  log = console.log,
}: {
  log?: Log;
} = {}): Promise<TimeSkippingTestWorkflowEnvironmentOptions> {
  const dir = cacheDir(`temporal-test-server-${version}`);
  const path = join(dir, 'test-server');
  const isMade = () => isExecutable(path);
  if (!isMade() && !(await fill(dir, isMade, (unfinished) => make(unfinished, log), log))) {
    throw new StartupError(
      'There is no time-skipping Temporal test server here, and neither its download nor Maven could fetch it: ' +
        'install Java and Maven.',
    );
  }
  return { server: { executable: { type: 'existing-path', path } } };
}

async function make(dir: string, log: Log): Promise<boolean> {
  log('Temporal: downloading the time-skipping test server, once');
  if (await downloadBySdk('test-server', dir, 'test-server')) return true;
  const maven = onPath('mvn', ['--version']);
  if (!maven || !onPath('java', ['-version'])) return false;
  log('Temporal: the download is out of reach, so Maven fetches the test server');
  writeFileSync(join(dir, 'pom.xml'), pom);
  const fetched = await runToEnd({
    command: maven,
    args: [
      '-B',
      '-f',
      join(dir, 'pom.xml'),
      'dependency:copy-dependencies',
      `-DoutputDirectory=${join(dir, 'lib')}`,
    ],
    logFile: join(dir, 'maven.log'),
    limitMs: fetchMs,
    progress: { log, what: 'Temporal: Maven still fetches' },
  });
  if (!fetched) return false;
  const launcher = join(dir, 'test-server');
  writeFileSync(launcher, script);
  chmodSync(launcher, 0o755);
  return true;
}

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tocsin</groupId>
  <artifactId>test-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>${version}</version>
    </dependency>
  </dependencies>
</project>
`;

// `exec`, because the SDK stops the server by stopping the process that it started.
const script = `#!/bin/sh
exec java -cp "$(dirname "$0")/lib/*" io.temporal.testserver.TestServer "$@"
`;
