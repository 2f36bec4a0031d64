import { OBJECTS_LIMIT } from './limits.ts';

/** One error of a request. `field` is a dotted path, or empty for the request as a whole. */
export interface FieldError {
  field: string;
  reason: string;
}

/** An error that becomes an answer as RFC 9457 defines it. The caller sees `detail`. */
export class Problem extends Error {
  override name = 'Problem';
  readonly status: number;
  readonly errors: FieldError[] | undefined;
  readonly headers: Record<string, string>;
  /** Additional members of the answer, beside those of RFC 9457. */
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

/** The body is not valid JSON. */
export class Malformed extends Problem {
  constructor(detail: string) {
    super(400, detail);
  }
}

/** The body has too many objects and lists, although its size is within the limit. */
export class TooManyObjects extends Problem {
  constructor() {
    super(413, `the body has more than ${OBJECTS_LIMIT} objects and lists: send it in parts`);
  }
}

/** The resource does not exist. `what` is its kind: the answer says "Event not found". */
export class NotFound extends Problem {
  constructor(what: string) {
    super(404, `${what} not found`);
  }
}

/** The state of the resource does not allow the request. */
export class Conflict extends Problem {
  constructor(detail: string) {
    super(409, detail);
  }
}

/** How many errors an answer lists. A hostile body can have hundreds of thousands. */
const MAX_ERRORS = 50;

/**
 * The body is valid JSON but not what the route takes. `errors` has the first 50; `detail` says how many
 * there are.
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

/** The request has no key, or one that is not valid. */
export class Unauthorized extends Problem {
  constructor(detail: string) {
    super(401, detail, { headers: { 'WWW-Authenticate': 'Bearer realm="tocsin"' } });
  }
}

/** The key is over its rate and must wait. */
export class RateExceeded extends Problem {
  readonly waitMs: number;
  readonly key: { id: string | null; name: string };

  constructor(detail: string, waitMs: number, key: { id: string | null; name: string }) {
    super(429, detail, { headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) } });
    this.waitMs = waitMs;
    this.key = key;
  }
}

/** Something that this process needs is unavailable. The caller may try again after the given seconds. */
export class Unavailable extends Problem {
  constructor(detail: string, retryAfterSeconds: number, cause?: unknown) {
    super(503, detail, { headers: { 'Retry-After': String(Math.ceil(retryAfterSeconds)) }, cause });
  }
}

/**
 * Too many keys that this process does not know wait to be looked up. Senders with known keys are not
 * affected.
 */
export class TooManyKeys extends Unavailable {
  constructor() {
    super('too many keys are waiting to be checked: try again', 1);
  }
}

/** The bodies being read use all the memory allowed for them. This body was not read, or was dropped. */
export class BudgetSpent extends Unavailable {
  constructor() {
    super('too many requests are being read: try again', 1);
  }
}
