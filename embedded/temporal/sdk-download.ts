import { TestWorkflowEnvironment } from '@temporalio/testing';

/**
 * Run as a program: `node sdk-download.ts dev-server|test-server <dir>` makes the Temporal SDK download a
 * server into `dir`. The SDK can only download while starting the server, hence the start; and since its
 * native code cannot be interrupted, this is a process of its own that the caller can end.
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
