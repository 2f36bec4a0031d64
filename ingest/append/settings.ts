import { integer } from '../../domain/settings.ts';

/** Settings: how many events the buffer holds, and how many one append stores. */
export const appendSettings = {
  /** How many events may wait for their append, per process. Beyond it, events are refused with 503. */
  BUFFER_EVENTS: integer(100, 1_000_000).default(20_000),
  /** The largest number of events in one append. */
  APPEND_EVENTS: integer(1, 50_000).default(2_000),
};
