import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../../embedded/cache.ts';
import { onPath } from '../../embedded/fetch-program.ts';
import { ROLES, System } from '../support/system.ts';
import { removeTemporary, temporaryDirectory } from '../support/temporary.ts';
import { ORVAL_CLIENT, ORVAL_CONFIG } from './orval-client.ts';
import { GENERATED_PYTHON, PAGERDUTY_PYTHON } from './python-clients.ts';
import { compile, removeCompiled, run } from './typescript.ts';

/*
 * `npm run test:clients` checks the OpenAPI document with openapi-spec-validator, redocly and spectral. It
 * generates clients with openapi-python-client and orval, compiles them, and uses them against a running
 * system. PagerDuty's own Python client sends a page. It needs Python 3 and, the first time, the package
 * registries.
 */
const PYTHON = { 'openapi-spec-validator': '0.9.0', 'openapi-python-client': '0.29.1', pdpyras: '5.4.1' };
const NODE = { orval: '8.38.0', '@redocly/cli': '2.77.0', '@stoplight/spectral-cli': '6.16.3' };

const python = onPath('python3', ['--version']);
if (!python) {
  console.log('test:clients is skipped: it needs Python 3');
  process.exit(0);
}
const venv = cacheDir(`clients-python-${Object.values(PYTHON).join('-')}`);
const modules = cacheDir(`clients-node-${Object.values(NODE).join('-')}`);
const work = temporaryDirectory();
const system = await System.start(ROLES, {});
try {
  await step('install what it needs, once', () => install(python));
  const document = await (await fetch(`${system.url}/openapi.json`)).text();
  const file = join(work, 'openapi.json');
  writeFileSync(file, document);
  const inVenv = (name: string) => join(venv, 'bin', name);
  const inModules = (name: string) => join(modules, 'node_modules/.bin', name);

  await step('openapi-spec-validator', () => run(inVenv('openapi-spec-validator'), [file]));
  await step('redocly', () => run(inModules('redocly'), ['lint', file, '--extends=recommended']));
  await step('spectral', () =>
    run(inModules('spectral'), ['lint', file, '-r', 'spectral.yaml', '--fail-severity=warn']),
  );
  await step('openapi-python-client', async () => {
    const made = join(work, 'python');
    const said = await run(inVenv('openapi-python-client'), [
      'generate',
      '--path',
      file,
      '--output-path',
      made,
    ]);
    if (/Unable to/.test(said)) throw new Error(said);
    writeFileSync(join(made, 'use.py'), GENERATED_PYTHON);
    await run(inVenv('python'), ['use.py'], { cwd: made, env: { API: system.url } });
  });
  await step('orval', async () => {
    writeFileSync(join(work, 'orval.config.mjs'), ORVAL_CONFIG);
    await run(inModules('orval'), ['--config', join(work, 'orval.config.mjs')], { cwd: work });
    const made = (name: string) => readFileSync(join(work, name), 'utf8');
    const place = await compile(
      'orval',
      { 'api.ts': made('api.ts'), 'zod.ts': made('zod.ts'), 'client.ts': ORVAL_CLIENT },
      // The code that orval generates does not compile with exactOptionalPropertyTypes.
      ['--exactOptionalPropertyTypes', 'false'],
    );
    try {
      await run(process.execPath, [join(place, 'client.js')], { env: { API: system.url } });
    } finally {
      removeCompiled(place);
    }
  });
  await step('pdpyras', async () => {
    writeFileSync(join(work, 'page.py'), PAGERDUTY_PYTHON);
    await run(inVenv('python'), ['page.py'], { cwd: work, env: { API: system.url } });
  });
} finally {
  await system.stop();
  removeTemporary();
}

async function install(python: string): Promise<void> {
  if (!existsSync(join(venv, 'bin/openapi-python-client'))) {
    await run(python, ['-m', 'venv', '--clear', venv]);
    const packages = Object.entries(PYTHON).map(([name, version]) => `${name}==${version}`);
    await run(join(venv, 'bin/pip'), ['install', '--quiet', ...packages]);
  }
  if (!existsSync(join(modules, 'node_modules/.bin/orval'))) {
    mkdirSync(modules, { recursive: true });
    writeFileSync(join(modules, 'package.json'), JSON.stringify({ private: true, dependencies: NODE }));
    await run('npm', ['install', '--no-audit', '--no-fund'], { cwd: modules });
  }
}

async function step(name: string, work: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  try {
    await work();
    console.log(`ok     ${name} (${Math.round((performance.now() - start) / 1000)} s)`);
  } catch (error) {
    console.log(`FAILED ${name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
