import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { compileFilter } from '../../../domain/events/filter.ts';
import type { ApiDeps } from '../../deps.ts';
import { type Route, route } from '../../http/route.ts';
import { Slots } from '../../http/slots.ts';
import { eventFilter } from './schema.ts';
import { frames } from './tail/frames.ts';
import { Tail } from './tail/tail.ts';

/** How many streams may be open in one process, for one key and in total. Each holds a connection. */
const LISTENERS = { ofOne: 200, ofAll: 1000 };

/**
 * Query parameters that polyfills of `EventSource` add, because some browsers do not let them set headers.
 * event-source-polyfill adds `lastEventId` and `padding`; amvtek's adds names with `evs_`. Padding and
 * preambles serve only old browsers such as Internet Explorer 9.
 */
const polyfills = {
  lastEventId: z.string().optional().meta({
    description:
      'The same as the header `Last-Event-ID`, for clients that cannot set it. The header takes precedence.',
  }),
  evs_last_event_id: z.string().optional().meta({ description: 'The same as `lastEventId`' }),
  padding: unused(),
  evs_preamble: unused(),
  evs_buffer_size_limit: unused(),
};

function unused() {
  return z.string().optional().meta({ description: 'No effect: some clients add it to every request' });
}

/**
 * The id at which the client's earlier connection ended. When a client reconnects by itself, it repeats its
 * first address and adds the header, so the header takes precedence.
 */
function lastIdOf(
  { headers }: IncomingMessage,
  given: { lastEventId?: string; evs_last_event_id?: string },
): string | undefined {
  const header = headers['last-event-id'];
  return (Array.isArray(header) ? header.at(-1) : header) || given.lastEventId || given.evs_last_event_id;
}

/** The route that streams events as they are committed. */
export function eventStreamRoutes({ orm, log, clock, settings, stopping }: ApiDeps): Route[] {
  const tail = new Tail({ orm, log, clock });
  const listeners = new Slots('streams of events', LISTENERS);
  return [
    route({
      method: 'get',
      path: '/events/stream',
      role: 'read',
      tags: ['events'],
      summary: 'Events as they are committed',
      description:
        'Server-sent events. Each event is sent once, in the order of the commits. With `Last-Event-ID` (or `lastEventId` in the query) the stream continues where an earlier connection ended. `event: gap` means that some events since that connection are missing from the stream; `data` says why.',
      query: z.object({ ...eventFilter, ...polyfills }),
      headers: z.object({ 'Last-Event-ID': z.string().optional() }),
      responses: {
        200: {
          description: 'The stream ends when the client or the API closes it',
          media: ['text/event-stream'],
        },
      },
      async handle({ query: { severity, source_id, event_type, payload, ...query }, request, principal }) {
        const giveBack = listeners.take(principal);
        const part = tail.join();
        const leave = () => {
          part();
          giveBack();
        };
        const now = await tail.now().catch((error) => {
          leave();
          throw error;
        });
        const body: Readable = Readable.from(
          frames(tail, {
            now,
            lastEventId: lastIdOf(request, query),
            matches: compileFilter({ severity, source_id, event_type, payload }),
            oldest: clock() - settings.retentionMs,
            // A destroyed stream closes only after its generator has ended.
            over: () => stopping.aborted || body.destroyed,
            clock,
          }),
          { objectMode: false },
        );
        body.once('close', leave);
        const headers = { 'X-Accel-Buffering': 'no' };
        return { status: 200, headers, type: 'text/event-stream', body };
      },
    }),
  ];
}
