/**
 * Task queues. `ingest` has the rate limit, so only batches of events run on it, new or redriven. Work that
 * must go on while it is throttled (keeping dead letters, rule evaluation, notices) has queues of its own.
 */
export const QUEUES = {
  /** Activities that append events. Rate-limited. */
  ingest: 'ingest',
  /** Producer and dead-letter workflows, and the activities that keep dead letters. */
  producers: 'producers',
  /** Alert-rule and housekeeping workflows and their activities. */
  rules: 'rules',
  /** Incident workflows and their reads and writes. */
  incidents: 'incidents',
  /** Activities that send notices. */
  notify: 'notify',
} as const;

/** What a worker process can be told to run. */
export const WORKER_ROLES = ['ingest', 'rules', 'incidents', 'notify', 'all'] as const;
export type WorkerRole = (typeof WORKER_ROLES)[number];
