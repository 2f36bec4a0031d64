import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { Converted } from '../../../ingest/formats/converted.ts';
import type { ApiDeps } from '../../deps.ts';
import type { Body } from '../../http/body/body.ts';
import type { Route } from '../../http/route.ts';
import type { Intake } from '../intake.ts';
import type { Mappings } from '../mappings.ts';

/**
 * A wire format: one file or folder beside this one, and a line in `index.ts`. `ingest/formats/` converts its
 * items; here are its schemas, and its routes or its body of `POST /events`.
 */
export interface Format {
  /** As docs/formats.md calls it. */
  readonly name: string;
  /** The body in which `POST /events` takes it, beside our own JSON. */
  readonly body?: EventsBody;
  routes?(deps: FormatDeps): Route[];
}

export interface FormatDeps extends ApiDeps {
  intake: Intake;
  mappings: Mappings;
  /** What other formats `POST /events` takes. */
  bodies: readonly EventsBody[];
}

/** A form of the body of `POST /events`. */
export interface EventsBody {
  /** Its media types and what each holds, for OpenAPI. */
  content: Readonly<Record<string, z.ZodType>>;
  /** Headers that it reads, for OpenAPI. */
  headers: Readonly<Record<string, z.ZodType>>;
  /** The format's names for our fields, where it has different ones. */
  names: Names;
  /** Whether a request has it. `type`: the media type, in lower case and without parameters. */
  takes(type: string, request: IncomingMessage): boolean;
  /** Reads and converts it: one item, or the items of a batch. @throws Problem */
  read(body: Body, request: IncomingMessage): Promise<Converted | Converted[]>;
  /** Whether the answer has no body. */
  isQuiet(request: IncomingMessage): boolean;
}

export type Names = Readonly<Record<string, string>>;
