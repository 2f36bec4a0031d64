import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lock, unneeded } from './unneeded.ts';

/**
 * `node deploy/image/slim.ts` removes from node_modules what the image does not need: the workflow bundler
 * (the image contains a bundle), native code for other platforms, type declarations, source maps,
 * documentation. Licences stay.
 */
const root = join(import.meta.dirname, '../..');
const remove = (path: string) => rmSync(join(root, path), { recursive: true, force: true });
const bridge = 'node_modules/@temporalio/core-bridge';

/**
 * Modules that `@temporalio/worker` loads when it starts but calls only to bundle. They are replaced by
 * stubs. It loads the others only when it bundles.
 */
const STUBS = ['webpack', 'memfs', 'unionfs'];
const COMPILER = [...STUBS, 'swc-loader', 'source-map-loader', '@swc/core'];
const STUB = `function refuse() { throw new Error('this image holds no compiler: workflows are in WORKFLOW_BUNDLE'); }
exports.webpack = refuse;
exports.Volume = refuse;
`;

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
for (const path of unneeded(lock, COMPILER)) remove(path);
for (const name of STUBS) {
  const path = join(root, 'node_modules', name);
  mkdirSync(path);
  writeFileSync(join(path, 'package.json'), JSON.stringify({ name, main: 'index.js' }));
  writeFileSync(join(path, 'index.js'), STUB);
}

const machine = { arm64: 'aarch64', x64: 'x86_64' }[process.arch as 'arm64' | 'x64'];
const platforms = readdirSync(join(root, bridge, 'releases'));
const native = platforms.filter((name) => name === `${machine}-unknown-${process.platform}-gnu`);
if (native.length === 0) throw new Error(`Temporal's SDK has no native code for ${process.arch}`);
for (const name of platforms) if (!native.includes(name)) remove(`${bridge}/releases/${name}`);
for (const name of ['sdk-core', 'src', 'Cargo.toml', 'Cargo.lock']) remove(`${bridge}/${name}`);

for (const file of readdirSync(join(root, 'node_modules'), { recursive: true, encoding: 'utf8' })) {
  if (/\.([cm]?ts|map|md)$/.test(file) && !/licen[cs]e|notice/i.test(file))
    remove(join('node_modules', file));
}
