import assert from 'node:assert/strict';
import type { Project } from './project.ts';

/** pino's level of warnings. */
const WARN = 40;

/** What a service has logged, by the line. */
async function linesOf(project: Project, service: string): Promise<string[]> {
  const log = await project.compose('logs', '--no-color', '--no-log-prefix', service);
  return log.split('\n').filter((line) => line.trim() !== '');
}

/** Every line of the services' logs is JSON, and none is a warning or worse. Resolves to the number of lines. */
export async function logsAreQuiet(project: Project, services: readonly string[]): Promise<number> {
  let lines = 0;
  for (const service of services) {
    const logged = await linesOf(project, service);
    assert.notEqual(logged.length, 0, `${service} has logged nothing`);
    const wrong = logged.filter((line) => !(levelOf(line) < WARN));
    assert.deepEqual(wrong, [], `${service} has logged warnings, or lines that are not JSON`);
    lines += logged.length;
  }
  return lines;
}

/** NaN for a line that is not one of pino's. */
function levelOf(line: string): number {
  try {
    return Number((JSON.parse(line) as { level?: unknown }).level);
  } catch {
    return Number.NaN;
  }
}

/** Scrapes a worker from another container, as Prometheus in the same network would. Resolves to its text. */
export async function scrape(project: Project, worker: string): Promise<string> {
  const url = `http://${worker}:9464/metrics`;
  const script = `fetch('${url}').then(async (r) => { if (!r.ok) throw Error(r.status); console.log(await r.text()) })`;
  return await project.compose('exec', '-T', 'api', 'node', '--eval', script);
}

/** A scrape has what the worker and its SDK measure, and declares each metric once, as its format demands. */
export function assertScrape(text: string, worker: string): void {
  const declared = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!);
  assert.equal(new Set(declared).size, declared.length, `${worker} declares a metric twice`);
  for (const name of ['process_resident_memory_bytes', 'temporal_worker_task_slots_available'])
    assert.ok(declared.includes(name), `${worker} lacks ${name}`);
  assert.match(text, /^tocsin_sdk_metrics_up 1$/m, worker);
}
