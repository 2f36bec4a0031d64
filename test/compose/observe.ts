import assert from 'node:assert/strict';
import type { Project } from './project.ts';

/** pino's number for warnings. */
const WARN = 40;
const ERROR = 50;

/** The lines that a service has logged. */
async function linesOf(project: Project, service: string): Promise<string[]> {
  const log = await project.compose('logs', '--no-color', '--no-log-prefix', service);
  return log.split('\n').filter((line) => line.trim() !== '');
}

/**
 * Checks that all log lines are JSON and none is an error. Warnings are only printed: without a channel each
 * incident causes one, and on a slow machine Temporal answers late.
 */
export async function logsAreWell(project: Project, services: readonly string[]): Promise<string> {
  const told = new Map<string, number>();
  let lines = 0;
  for (const service of services) {
    const logged = await linesOf(project, service);
    assert.notEqual(logged.length, 0, `${service} has logged nothing`);
    const wrong = logged.filter((line) => !(entryOf(line).level < ERROR));
    assert.deepEqual(wrong, [], `${service} has logged errors, or lines that are not JSON`);
    for (const { msg } of logged.map(entryOf).filter(({ level }) => level >= WARN))
      told.set(msg, (told.get(msg) ?? 0) + 1);
    lines += logged.length;
  }
  const warnings = [...told].map(([msg, times]) => `${times} × "${msg}"`);
  return `${lines} lines; warnings: ${warnings.join(', ') || 'none'}`;
}

/** Parses a line. If it does not come from pino, the level is NaN. */
function entryOf(line: string): { level: number; msg: string } {
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
    return { level: Number(level), msg: String(msg) };
  } catch {
    return { level: Number.NaN, msg: '' };
  }
}

/** Scrapes a worker from another container, like a Prometheus in the same network. Resolves to the text. */
export async function scrape(project: Project, worker: string): Promise<string> {
  const url = `http://${worker}:9464/metrics`;
  const script = `fetch('${url}').then(async (r) => { if (!r.ok) throw Error(r.status); console.log(await r.text()) })`;
  return await project.compose('exec', '-T', 'api', 'node', '--eval', script);
}

/**
 * Checks that a scrape contains the metrics of the worker and its SDK, and declares each metric once, as the
 * format requires.
 */
export function assertScrape(text: string, worker: string): void {
  const declared = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!);
  assert.equal(new Set(declared).size, declared.length, `${worker} declares a metric twice`);
  for (const name of ['process_resident_memory_bytes', 'temporal_worker_task_slots_available'])
    assert.ok(declared.includes(name), `${worker} lacks ${name}`);
  assert.match(text, /^tocsin_sdk_metrics_up 1$/m, worker);
}
