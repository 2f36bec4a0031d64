import { readFileSync } from 'node:fs';
import type { Bench, Figure } from '../bench.ts';

/** The peak memory of the API process in megabytes, as Linux reports it; null on other systems. */
export function peakMemory({ system }: Bench): number | null {
  if (process.platform !== 'linux') return null;
  const status = readFileSync(`/proc/${system.pid('api')}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1000;
}

export async function measureMemory(bench: Bench): Promise<Figure[]> {
  const value = peakMemory(bench);
  if (value === null) return [];
  return [
    {
      ...{ measure: 'API process memory, during all of it', value },
      ...{ floor: 400, aim: 250, better: 'less', unit: 'MB', detail: 'largest resident set' },
    },
  ];
}
