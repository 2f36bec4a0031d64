import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { apiNursery, thrift } from '../embedded/processes/role.ts';
import { System } from '../test/support/system.ts';
import { removeTemporary, sweepAbandoned } from '../test/support/temporary.ts';
import { type Bench, type Figure, verdictOf } from './bench.ts';
import { CopyBaseline } from './copy-baseline.ts';
import { measureActions } from './measures/actions.ts';
import { measureBackfill } from './measures/backfill.ts';
import { measureBatches } from './measures/batches.ts';
import { measureIncidents } from './measures/incidents.ts';
import { measureJudging } from './measures/judging.ts';
import { measureManyRules } from './measures/many-rules.ts';
import { measureMemory, peakMemory } from './measures/memory.ts';
import { measureReading } from './measures/reads.ts';
import { measureRestart } from './measures/restart.ts';
import { measureSingles } from './measures/singles.ts';
import { measureStalledExports } from './measures/stalled-exports.ts';
import { connected } from './postgres.ts';
import { printTable } from './table.ts';

/** The measurements, in order. A new one is a file in measures/ and a line here. */
const MEASURES = {
  batches: measureBatches,
  singles: measureSingles,
  'many-rules': measureManyRules,
  reads: measureReading,
  // It uses the events that the read measurement has stored.
  backfill: measureBackfill,
  judging: measureJudging,
  // Runs before there are incidents, whose workflows cause actions of their own.
  actions: measureActions,
  incidents: measureIncidents,
  memory: measureMemory,
  // Runs last, because it ends the process that was measured.
  restart: measureRestart,
  // Runs after the peak memory of normal work was measured.
  'stalled-exports': measureStalledExports,
};

const USAGE = `usage: npm run bench -- [options]
Measures the speed of Tocsin on this machine, as shares of what its PostgreSQL can do.

  --quick         fewer events and rounds; takes about a minute
  --only NAMES    only these measures, separated by commas: ${Object.keys(MEASURES).join(', ')}
  --json          print the figures as JSON
  --profile DIR   write CPU profiles of the API process to this directory
`;

const options = optionsOf(process.argv.slice(2));

function optionsOf(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        only: { type: 'string' },
        profile: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const only = values.only?.split(',') ?? Object.keys(MEASURES);
    const unknown = only.find((name) => !(name in MEASURES));
    if (unknown !== undefined) throw new Error(`There is no measure '${unknown}'.`);
    return { ...values, only };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

const tell = (line: string) => process.stderr.write(`${line}\n`);

/** The environment in which `npm start` and the container run the API. */
function environment(profile: string | undefined): Record<string, string> {
  const profiling = profile ? [`--cpu-prof --cpu-prof-dir=${resolve(profile)}`] : [];
  return { ...thrift.env, NODE_OPTIONS: [apiNursery, ...profiling].join(' ') };
}

async function run(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, measure] of Object.entries(MEASURES)) {
    if (!options.only.includes(name)) continue;
    const since = performance.now();
    figures.push(...(await measure(bench)));
    const seconds = ((performance.now() - since) / 1000).toFixed(1);
    tell(
      `${name}: ${seconds} s, the API has taken up to ${Math.round(peakMemory(bench) ?? Number.NaN)} MB by now`,
    );
  }
  return figures;
}

const begun = performance.now();
await sweepAbandoned();
const system = await System.start(['api'], environment(options.profile));
try {
  const url = system.databaseUrl;
  const database = await connected(url);
  const copy = await CopyBaseline.prepare(url, 20_000);
  tell(`started: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  const figures = await run({ system, database, copy, quick: options.quick });
  const seconds = (performance.now() - begun) / 1000;
  if (options.profile) await (await system.terminate('api')).exited;
  await copy.close();
  await database.end();
  if (options.json) console.log(JSON.stringify({ quick: options.quick, seconds, figures }, null, 2));
  else {
    const rows = figures.map((figure) => {
      const show = (value: number) =>
        `${figure.unit ? Math.round(value) : value.toFixed(2)}${figure.unit && ` ${figure.unit}`}`;
      return [
        figure.measure,
        show(figure.value),
        show(figure.floor),
        show(figure.aim),
        verdictOf(figure),
        figure.detail,
      ];
    });
    printTable(['measure', 'is', 'at least', 'aim', '', 'that is'], rows);
  }
  if (figures.some((figure) => verdictOf(figure) === 'below')) process.exitCode = 1;
} finally {
  await system.stop();
  removeTemporary();
}
