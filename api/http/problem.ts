import { OBJECTS_LIMIT } from './limits.ts';

/** One thing wrong with a request, and where. `field` is a dotted path; empty for the request as a whole. */
export interface FieldError {
  field: string;
  reason: string;
}

/** An answer other than success, as RFC 9457 has it. Its `detail` is written for the caller. */
export class Problem extends Error {
  override name = 'Problem';
  readonly status: number;
  readonly errors: FieldError[] | undefined;
  readonly headers: Record<string, string>;
  /** Members of its own, beside those of RFC 9457. */
  readonly extensions: Record<string, number | string>;

  constructor(
    status: number,
    detail: string,
    {
      errors,
      headers = {},
      extensions = {},
      cause,
    }: {
      errors?: FieldError[];
      headers?: Record<string, string>;
      extensions?: Record<string, number | string>;
      cause?: unknown;
    } = {},
  ) {
    super(detail, { cause });
    this.status = status;
    this.errors = errors;
    this.headers = headers;
    this.extensions = extensions;
  }
}

/** The body could not be read as JSON. */
export class Malformed extends Problem {
  constructor(detail: string) {
    super(400, detail);
  }
}

/** The body is small enough, but of more values than can be held. */
export class TooManyObjects extends Problem {
  constructor() {
    super(413, `the body has more than ${OBJECTS_LIMIT} objects and lists: send it in parts`);
  }
}

/** `what` is the resource: "Event not found". */
export class NotFound extends Problem {
  constructor(what: string) {
    super(404, `${what} not found`);
  }
}

/** The resource is not in a state that allows it. */
export class Conflict extends Problem {
  constructor(detail: string) {
    super(409, detail);
  }
}

/** Nobody reads more, and a hostile body has hundreds of thousands. */
const MAX_ERRORS = 50;

/**
 * Read as JSON, but not what the route takes. `errors` has the first 50; `detail` says how many there are.
 */
export class Invalid extends Problem {
  constructor(errors: FieldError[]) {
    const [first] = errors;
    const cut = errors.length > MAX_ERRORS ? `, of which \`errors\` has ${MAX_ERRORS - 1}` : '';
    const more = errors.length > 1 ? ` (and ${errors.length - 1} more${cut})` : '';
    super(422, `${first?.field ? `${first.field}: ` : ''}${first?.reason ?? 'invalid'}${more}`, {
      errors: errors.slice(0, MAX_ERRORS),
    });
  }
}

/** Nobody is known by what the request came with, or it came with nothing. */
export class Unauthorized extends Problem {
  constructor(detail: string) {
    super(401, detail, { headers: { 'WWW-Authenticate': 'Bearer realm="tocsin"' } });
  }
}

/** A key is over its own rate, for so long. */
export class RateExceeded extends Problem {
  readonly waitMs: number;
  readonly key: { id: string | null; name: string };

  constructor(detail: string, waitMs: number, key: { id: string | null; name: string }) {
    super(429, detail, { headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) } });
    this.waitMs = waitMs;
    this.key = key;
  }
}

/** Something this process needs is away. The caller may try again after so many seconds. */
export class Unavailable extends Problem {
  constructor(detail: string, retryAfterSeconds: number, cause?: unknown) {
    super(503, detail, { headers: { 'Retry-After': String(Math.ceil(retryAfterSeconds)) }, cause });
  }
}

/**
 * More keys that are not known here wait to be looked up than may. Senders whose key is known notice nothing.
 */
export class TooManyKeys extends Unavailable {
  constructor() {
    super('too many keys are waiting to be checked: try again', 1);
  }
}

/** The bodies under way take all the memory that they may: this one was not read, or given up. */
export class BudgetSpent extends Unavailable {
  constructor() {
    super('too many requests are being read: try again', 1);
  }
}
