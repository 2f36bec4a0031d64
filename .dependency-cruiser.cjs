/**
 * Imports point one way: domain ◄ db ◄ ingest ◄ activities ◄ workers. Workflows import only `domain/`. Code
 * that talks to workflows imports only their messages, ids, queues and start options.
 */
const MESSAGES = 'workflows/(messages|ids|queues|startable)';

const only = (name, from, allowed, extra = {}) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: {
    path: '^(domain|db|ingest|process|temporal-config|workflows|activities|workers|api|embedded|bench|test)/',
    pathNot: allowed,
    ...extra,
  },
});

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    only('domain-is-pure', '^domain/', '^domain/'),
    {
      name: 'domain-has-no-io',
      severity: 'error',
      from: { path: '^domain/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    only('db-knows-domain', '^db/', '^(domain|db)/'),
    only(
      'ingest-knows-db',
      '^ingest/',
      `^(domain|db|ingest|process/(deafness|repeat|disk/)|temporal-config|${MESSAGES})`,
    ),
    only('temporal-config-knows-db', '^temporal-config/', `^(domain|db|temporal-config|${MESSAGES})`),
    only('a-process-knows-ingest', '^process/', '^(domain|db|ingest|process|workflows/queues)'),
    only('workflows-are-sandboxed', '^workflows/', '^(domain|workflows)/', {
      dependencyTypesNot: ['type-only'],
    }),
    only('workflows-know-activity-types', '^workflows/', '^(domain|workflows|activities)/'),
    only(
      'activities-know-ingest',
      '^activities/',
      `^(domain|db|ingest|process/|temporal-config|activities|workflows/retry-policies|${MESSAGES})`,
    ),
    only('api-never-runs-activities', '^api/', `^(domain|db|ingest|process|temporal-config|api|${MESSAGES})`),
    only(
      'workers-compose',
      '^workers/',
      '^(domain|db|ingest|process|temporal-config|activities|workers|workflows)/',
    ),
    {
      name: 'only-roots-read-config',
      severity: 'error',
      from: {
        pathNot: '^(config\\.ts|.*/main\\.ts|db/migrate\\.ts|workers/alive\\.ts|embedded/|test/|bench/)',
      },
      to: { path: '^config\\.ts$', dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)node_modules/|^(coverage|build)/|^\\.data/|^test/releases/[0-9]' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.cjs', '.mjs'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
};
