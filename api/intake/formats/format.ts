import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { Converted } from '../../../ingest/formats/converted.ts';
import type { ApiDeps } from '../../deps.ts';
import type { Body } from '../../http/body/body.ts';
import type { Route } from '../../http/route.ts';
import type { Intake } from '../intake.ts';
import type { Mappings } from '../mappings.ts';

/**
 * A wire format. Each has a file or folder beside this one, and a line in `index.ts`. Here are its schemas,
 * and its routes or its form of the body of `POST /events`; `ingest/formats/` converts its items.
 */
export interface Format {
  /** Its name in docs/formats.md. */
  readonly name: string;
  /** How `POST /events` accepts it, besides our own JSON. */
  readonly body?: EventsBody;
  routes?(deps: FormatDeps): Route[];
}

export interface FormatDeps extends ApiDeps {
  intake: Intake;
  mappings: Mappings;
  /** The other formats that `POST /events` accepts. */
  bodies: readonly EventsBody[];
}

/** A format that `POST /events` accepts. */
export interface EventsBody {
  /** Its media types with their schemas, for OpenAPI. */
  content: Readonly<Record<string, z.ZodType>>;
  /** Headers that it reads, for OpenAPI. */
  headers: Readonly<Record<string, z.ZodType>>;
  /** The format's names for our fields, where it has different ones. */
  names: Names;
  /** Says whether a request has this format. `type`: the media type, in lower case and without parameters. */
  takes(type: string, request: IncomingMessage): boolean;
  /** Reads and converts the body: one item, or the items of a batch. @throws Problem */
  read(body: Body, request: IncomingMessage): Promise<Converted | Converted[]>;
  /** Says whether the answer must have no body. */
  isQuiet(request: IncomingMessage): boolean;
}

export type Names = Readonly<Record<string, string>>;
