import { TestWorkflowEnvironment } from '@temporalio/testing';

/**
 * A program: `node sdk-download.ts dev-server|test-server <dir>` makes the Temporal SDK download a server
 * into `dir`. The SDK downloads only when it starts a server, so this starts one. Its native code cannot be
 * interrupted, so this is a process that the caller can kill.
 */
const [kind, downloadDir] = process.argv.slice(2);
const server = { executable: { type: 'cached-download' as const, downloadDir } };
try {
  const environment =
    kind === 'dev-server'
      ? await TestWorkflowEnvironment.createLocal({ server })
      : await TestWorkflowEnvironment.createTimeSkipping({ server });
  await environment.teardown();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
