/**
 * Task queues. `ingest` has the rate limit, so it carries only batches of events, new or redriven. Work that
 * must go on while it is limited (dead letters, rules, notices) has its own queues.
 */
export const QUEUES = {
  /** Activities that append events, with a rate limit. */
  ingest: 'ingest',
  /** Producer and dead-letter workflows, and the activities that store dead letters. */
  producers: 'producers',
  /** Rule and housekeeping workflows, and their activities. */
  rules: 'rules',
  /** Incident workflows, and the activities that read and write their rows. */
  incidents: 'incidents',
  /** Activities that send notices. */
  notify: 'notify',
} as const;

/** The roles of worker processes. */
export const WORKER_ROLES = ['ingest', 'rules', 'incidents', 'notify', 'all'] as const;
export type WorkerRole = (typeof WORKER_ROLES)[number];
