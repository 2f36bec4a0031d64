import { integer } from '../../domain/settings.ts';

/** The settings that say how many events the buffer holds, and how many one append stores. */
export const appendSettings = {
  /** Events waiting for their append, per process; more are refused with 503. */
  BUFFER_EVENTS: integer(100, 1_000_000).default(20_000),
  /** Events in one append at the most. */
  APPEND_EVENTS: integer(1, 50_000).default(2_000),
};
