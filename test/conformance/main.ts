import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { ROLES, System } from '../support/system.ts';
import { removeTemporary, temporaryDirectory } from '../support/temporary.ts';
import { schemathesis } from './schemathesis.ts';

/**
 * Checks the running API against its own OpenAPI document: `npm run conformance`. It calls every endpoint
 * with valid and invalid input. No answer may be a 5xx or differ from the document. The live stream is left
 * out, because its answer never ends.
 */
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'unsupported_method',
  'ignored_auth',
];

/** A key with every role, because every route requires a key. */
const KEY = `tk${'0'.repeat(30)}`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { examples: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } },
});
const program = await schemathesis();
const system = await System.start(ROLES, {
  AUTH: 'keys',
  BOOTSTRAP_KEY: KEY,
  INGEST_TOKEN: 'a-token-of-our-own',
});
try {
  const args = [
    ...['run', `${system.url}/openapi.json`, '--checks', CHECKS.join(',')],
    ...['--phases', 'examples,coverage,fuzzing', '--max-examples', values.examples, '--seed', values.seed],
    ...[
      '--header',
      `Authorization: Bearer ${KEY}`,
      '--request-timeout',
      '20',
      '--exclude-path',
      '/events/stream',
    ],
    ...['--continue-on-failure', '--warnings', 'off', ...positionals],
  ];
  // schemathesis stores its results in its working directory.
  const run = spawn(program, args, { stdio: 'inherit', cwd: temporaryDirectory() });
  const [code] = await once(run, 'exit');
  process.exitCode = code ?? 1;
  if (process.exitCode !== 0) console.log(system.complaints());
} finally {
  await system.stop();
  removeTemporary();
}
