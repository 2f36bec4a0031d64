import { MAX_DEPTH, MAX_PAYLOAD } from '../../ingest/append/validate.ts';

/*
 * The limits of requests. Each limit has its own error and is checked while the request is read. Sizes are
 * bytes after decompression; times are milliseconds.
 */

/** The size of a JSON body with one event. */
export const EVENT_LIMIT = 1 << 20;

/**
 * The size of a JSON body with several events (an array, or a CloudEvents batch), and their number. Senders
 * of more must split it or use NDJSON.
 */
export const BATCH_BODY_LIMIT = 5 << 20;
export const BATCH_LIMIT = 10_000;

/**
 * The size of an OTLP export, and its number of log records: twice what a collector's batch processor sends
 * by default (8,192). The specification recommends 64 MiB, but the bodies of all senders share 32 MiB here.
 */
export const EXPORT_BODY_LIMIT = 20 << 20;
export const EXPORT_LIMIT = 20_000;

/**
 * The number of objects and lists in a body that is parsed as a whole. Each takes about a hundred bytes of
 * memory, even if it is only two bytes long.
 */
export const OBJECTS_LIMIT = 500_000;

/** The size of a stream of lines or JSON texts, and of one of them. */
export const STREAM_LIMIT = 1 << 30;
export const LINE_LIMIT = 256 << 10;

/** How many refused items of a stream the answer lists. */
export const MOST_LISTED = 1000;

/** How many records a dry run of a mapping converts, and the size of its body. */
export const TRIED_LIMIT = 100;

/** How many received alerts `GET /api/v2/alerts` lists; that protocol has no pages. */
export const ALERTS_LISTED = 10_000;

/** The size of a PagerDuty event; PagerDuty has the same limit. */
export const PAGE_LIMIT = 512 << 10;

/** The size of a body that contains no events. */
export const BODY_LIMIT = 256 << 10;

/**
 * Limits within such a body: its nesting, its values (half a million empty ones took four seconds to check),
 * and the keys of one object.
 */
export const BODY_DEPTH = 64;
export const BODY_VALUES = 20_000;
export const BODY_KEYS = 1000;

/** Limits of a payload: its nesting, and its length as JSON in characters. */
export const PAYLOAD_DEPTH = MAX_DEPTH;
export const PAYLOAD_LENGTH = MAX_PAYLOAD;

/**
 * How many bytes of bodies a process holds at once: of events, of received alerts, of everything else that
 * comes with a key, and of requests whose key is unknown before the body is read. Parsed, bodies take several
 * times as much.
 */
export const BUDGETS = { events: 32 << 20, alerts: 8 << 20, control: 4 << 20, strangers: 4 << 20 };

/** The size of a body that opens a session. It contains little more than a key. */
export const SESSION_BODY_LIMIT = 1 << 10;

/**
 * The largest window that a zstd body may ask for, as a power of two. The decoder holds this much. RFC 9659
 * defines it for HTTP.
 */
export const ZSTD_WINDOW_LOG = 23;

/** The longest pause that a sender may make within a body. */
export const PATIENCE_MS = 10_000;

/**
 * The slowest rate at which a body may arrive, in bytes per second before decompression. A slower sender
 * could occupy much memory with few bytes.
 */
export const SLOWEST = 1024;
