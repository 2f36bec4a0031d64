import { Readable } from 'node:stream';
import { z } from 'zod';
import { compileFilter } from '../../domain/event-filter.ts';
import type { ApiDeps } from '../deps.ts';
import { Slots } from '../keys/slots.ts';
import { type Route, route } from '../route.ts';
import { eventFilter } from '../schemas/event.ts';
import { frames } from '../tail/frames.ts';
import { Tail } from '../tail/tail.ts';

/** Listeners of one key and of all, in one process: each is a connection that stays. */
const LISTENERS = { ofOne: 200, ofAll: 1000 };

/** Events as they are committed. */
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
        'Server-sent events. Each event is sent once, in the order of the commits. With `Last-Event-ID` the stream continues where an earlier connection ended. `event: gap` says that the events in between can no longer be found.',
      query: z.object(eventFilter),
      headers: z.object({ 'Last-Event-ID': z.string().optional() }),
      responses: {
        200: {
          description: 'The stream ends when the client or the API closes it',
          media: ['text/event-stream'],
        },
      },
      async handle({ query, request, principal }) {
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
        const given = request.headers['last-event-id'];
        const body = Readable.from(
          frames(tail, {
            now,
            lastEventId: Array.isArray(given) ? given.at(-1) : given,
            matches: compileFilter(query),
            oldest: clock() - settings.retentionMs,
            stopping,
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
