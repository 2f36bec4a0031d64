import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildWorkflows, workflowBundle } from '../../workers/workflow-bundle.ts';
import { temporaryDirectory } from '../support/temporary.ts';

describe('the bundle of the workflows', () => {
  const file = join(temporaryDirectory(), 'a', 'folder', 'workflows.js');
  before(() => buildWorkflows(file));

  it('is read from the file that was built, and nothing is bundled then', async () => {
    const started = performance.now();
    assert.deepEqual(await workflowBundle(file), { codePath: file });
    assert.ok(performance.now() - started < 500, 'it took as long as bundling does');
  });

  it('contains every workflow', () => {
    const code = readFileSync(file, 'utf8');
    for (const name of ['alertRule', 'deadLetter', 'housekeeping', 'incident', 'producer']) {
      assert.match(code, new RegExp(`\\b${name}\\b`));
    }
  });

  it('is refused if it was built from other sources', async () => {
    const stale = join(temporaryDirectory(), 'stale.js');
    const [, ...code] = readFileSync(file, 'utf8').split('\n');
    writeFileSync(stale, ['// tocsin workflows 0123', ...code].join('\n'));
    await assert.rejects(
      workflowBundle(stale),
      /WORKFLOW_BUNDLE: .*built from other sources: run npm run build:workflows/,
    );
  });

  it('if the file is missing, the error names it and says how to make it', async () => {
    const missing = workflowBundle('/nowhere/workflows.js');
    await assert.rejects(missing, /WORKFLOW_BUNDLE: .*\/nowhere\/workflows\.js.*npm run build:workflows/);
  });
});
