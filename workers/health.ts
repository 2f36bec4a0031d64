import type { Worker } from '@temporalio/worker';
import { QUIET_AFTER_MS } from '../domain/rules/watermark.ts';
import type { Heartbeat } from '../process/heartbeat.ts';

/** The health of a process. Both functions return what is wrong, or null. */
export interface Health {
  /**
   * Says whether a restart would help. It asks no other service, so that an outage of PostgreSQL restarts no
   * worker.
   */
  live(): string | null;
  /** Says whether the process does its work. */
  ready(): string | null;
}

/** Makes the health of one worker process. */
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
