import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lock, unneeded } from '../../deploy/image/unneeded.ts';

describe('packages that the image does not need', () => {
  it('are those that nothing else needs, including nested ones', () => {
    const lock: Lock = {
      packages: {
        '': { dependencies: { app: '1', compiler: '1' } },
        'node_modules/app': { dependencies: { shared: '1' }, peerDependencies: { absent: '1' } },
        'node_modules/shared': {},
        'node_modules/compiler': { dependencies: { shared: '2', parser: '1' } },
        'node_modules/compiler/node_modules/shared': { optionalDependencies: { parser: '1' } },
        'node_modules/parser': { dependencies: { app: '1' } },
      },
    };
    assert.deepEqual(unneeded(lock, []), []);
    assert.deepEqual(unneeded(lock, ['compiler']), [
      'node_modules/compiler',
      'node_modules/compiler/node_modules/shared',
      'node_modules/parser',
    ]);
  });

  it('include the bundler, and none that the application imports', () => {
    const root = join(import.meta.dirname, '../..');
    const json = (file: string) => JSON.parse(readFileSync(join(root, file), 'utf8'));
    const lock = json('package-lock.json') as Lock;
    const removed = new Set(unneeded(lock, ['webpack', 'memfs', 'unionfs', 'swc-loader', '@swc/core']));
    for (const name of ['webpack', 'memfs', '@swc/core', 'terser-webpack-plugin', 'typescript']) {
      const path = `node_modules/${name}`;
      assert.ok(removed.has(path) || !(path in lock.packages), name);
    }
    const { dependencies } = json('package.json') as { dependencies: Record<string, string> };
    for (const name of Object.keys(dependencies)) assert.ok(!removed.has(`node_modules/${name}`), name);
  });
});
