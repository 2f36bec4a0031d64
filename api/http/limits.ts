import { MAX_DEPTH, MAX_PAYLOAD } from '../../ingest/append/validate.ts';

/*
 * The limits of requests, all in one place. Each limit has its own error and is checked while the request is
 * read. Sizes are bytes after decompression; times are milliseconds.
 */

/** A JSON body of one event. */
export const EVENT_LIMIT = 1 << 20;

/**
 * A JSON body of several events (an array, a CloudEvents batch), and how many. More are sent in parts, or as
 * NDJSON.
 */
export const BATCH_BODY_LIMIT = 5 << 20;
export const BATCH_LIMIT = 10_000;

/**
 * An OTLP export, and its log records: twice what a collector's batch processor gathers by default (8,192).
 * Its specification recommends 64 MiB, but the bodies of all senders share 32 MiB.
 */
export const EXPORT_BODY_LIMIT = 20 << 20;
export const EXPORT_LIMIT = 20_000;

/**
 * Objects and lists in a body that is parsed as a whole: each takes a hundred bytes, however few it came in.
 */
export const OBJECTS_LIMIT = 500_000;

/** A stream of lines or of JSON texts, and one of them. */
export const STREAM_LIMIT = 1 << 30;
export const LINE_LIMIT = 256 << 10;

/** Refused items of a stream that its answer lists. */
export const MOST_LISTED = 1000;

/** Records that a dry run of a mapping shows, of a body as large as any but events. */
export const TRIED_LIMIT = 100;

/** Received alerts that `GET /api/v2/alerts` lists, which has no pages. */
export const ALERTS_LISTED = 10_000;

/** A PagerDuty event, as PagerDuty has it. */
export const PAGE_LIMIT = 512 << 10;

/** A body of anything but events. */
export const BODY_LIMIT = 256 << 10;

/**
 * Its nesting, its values (half a million empty ones took four seconds to look at), and the keys of one
 * object in it.
 */
export const BODY_DEPTH = 64;
export const BODY_VALUES = 20_000;
export const BODY_KEYS = 1000;

/** A payload's nesting, and its length as JSON in characters. */
export const PAYLOAD_DEPTH = MAX_DEPTH;
export const PAYLOAD_LENGTH = MAX_PAYLOAD;

/**
 * Bodies that a process holds at once: of events, of received alerts, of all else that comes with a key, and
 * of requests whose key is not known before their body is. Parsed, they take several times that.
 */
export const BUDGETS = { events: 32 << 20, alerts: 8 << 20, control: 4 << 20, strangers: 4 << 20 };

/** What opens a session: a key, and little around it. */
export const SESSION_BODY_LIMIT = 1 << 10;

/**
 * Largest window that a zstd body may ask for, as a power of two: what its decoder holds. RFC 9659 has it for
 * HTTP.
 */
export const ZSTD_WINDOW_LOG = 23;

/** Longest pause of a sender within its body. */
export const PATIENCE_MS = 10_000;

/**
 * Slowest sender that is waited for, in bytes a second as they are sent: one that drips holds what they
 * unpack to for next to nothing.
 */
export const SLOWEST = 1024;
