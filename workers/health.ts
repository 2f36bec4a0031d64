import type { Worker } from '@temporalio/worker';
import { QUIET_AFTER_MS } from '../domain/rules/watermark.ts';
import type { Heartbeat } from '../process/heartbeat.ts';

/** What is wrong with this process; null: nothing. */
export interface Health {
  /** Whether a restart would help: asks nobody else, so that an outage of PostgreSQL restarts no worker. */
  live(): string | null;
  /** Whether it does its work. */
  ready(): string | null;
}

/** The health of one worker process, from what it knows of itself. */
export function createHealth(
  workers: readonly Pick<Worker, 'getState' | 'options'>[],
  heartbeats: readonly Pick<Heartbeat, 'age'>[],
): Health {
  const live = () => {
    const stopped = workers.find((worker) => worker.getState() !== 'RUNNING');
    return stopped ? `queue ${stopped.options.taskQueue} is ${stopped.getState().toLowerCase()}` : null;
  };
  const ready = () => {
    const oldest = Math.max(...heartbeats.map((heartbeat) => heartbeat.age() ?? Number.POSITIVE_INFINITY));
    if (oldest > QUIET_AFTER_MS) {
      return Number.isFinite(oldest)
        ? `PostgreSQL has not taken a heartbeat for ${Math.round(oldest / 1000)} s`
        : 'PostgreSQL has not taken a heartbeat yet';
    }
    return live();
  };
  return { live, ready };
}
