import { setTimeout as sleep } from 'node:timers/promises';
import type { Project } from './project.ts';

/** The memory limit for all of Tocsin's own containers together, in MiB. */
export const MEMORY_LIMIT = 700;
const OURS = ['api', 'worker-ingest', 'worker-rules', 'worker-incidents', 'worker-notify'];

/** The memory of each of Tocsin's own containers in MiB, without the file cache. */
export async function memory(project: Project): Promise<Record<string, number>> {
  const lines = (await project.compose('stats', '--no-stream', '--format', 'json')).trim().split('\n');
  const used: Record<string, number> = {};
  for (const line of lines.filter(Boolean)) {
    const { Name, MemUsage } = JSON.parse(line) as { Name: string; MemUsage: string };
    const service = OURS.find((name) => Name.includes(`-${name}-`));
    const [, number, unit] = /^([\d.]+)([KMG])iB/.exec(MemUsage) ?? [];
    if (service && number)
      used[service] = Number(number) * { K: 1 / 1024, M: 1, G: 1024 }[unit as 'K' | 'M' | 'G'];
  }
  return used;
}

export const total = (used: Record<string, number>) => Object.values(used).reduce((sum, one) => sum + one, 0);

/** Measures for `minutes`, and resolves to the last measurement. */
export async function watchMemory(project: Project, minutes: number): Promise<Record<string, number>> {
  let used = await memory(project);
  for (let minute = 1; minute <= minutes; minute++) {
    await sleep(60_000);
    used = await memory(project);
    const parts = Object.entries(used).map(([name, mib]) => `${name} ${Math.round(mib)}`);
    console.log(`    after ${minute} min: ${Math.round(total(used))} MiB (${parts.join(', ')})`);
  }
  return used;
}
