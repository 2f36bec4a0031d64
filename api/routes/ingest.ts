import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { eventInput, type Validated, validateEvent } from '../../ingest/validate.ts';
import type { ApiDeps } from '../deps.ts';
import { EVENT_BODY_LIMIT } from '../middleware/body.ts';
import { Invalid, Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { eventOut, showEvent } from '../schemas/event.ts';

type Valid = Exclude<Validated, { invalid: unknown }>;

/** The way in for senders over HTTP. */
export function ingestRoutes({ ingest, clock, settings }: ApiDeps): Route[] {
  const isToken = tokenCheck(settings.ingestToken);
  return [
    route({
      method: 'post',
      path: '/internal/events',
      tags: ['events'],
      summary: 'Store one event',
      description:
        'Answers once the event is committed. Sending the same `event_id` again stores nothing and answers 200 with the ' +
        'stored event, so every sender may retry. A 503 means that it may or may not be stored: send it again.',
      headers: z.object({ 'x-ingest-token': z.string().optional() }),
      authorize: ({ headers }) => {
        if (!isToken(headers['x-ingest-token'])) throw new Problem(401, 'Invalid ingest token');
      },
      body: {
        schema: eventInput,
        limit: EVENT_BODY_LIMIT,
        parse: (raw): Valid => {
          const validated = validateEvent(raw, { now: clock(), retentionMs: settings.retentionMs });
          if ('invalid' in validated) throw new Invalid(validated.invalid);
          return validated;
        },
      },
      responses: {
        201: { description: 'Stored', schema: eventOut },
        200: { description: 'Stored before: the event as it is stored', schema: eventOut },
      },
      problems: [401, 503],
      async handle({ body: { event, timeGiven } }) {
        if (!timeGiven) {
          const [occurred_at] = await ingest.claimTimes([event]);
          event.occurred_at = occurred_at!;
        }
        const [outcome] = await ingest.accept([event]);
        if (outcome!.status === 'invalid') throw new Invalid([outcome!]);
        return { status: outcome!.status === 'stored' ? 201 : 200, body: showEvent(outcome!.event) };
      },
    }),
  ];
}

/** Compares in constant time, whatever the lengths. */
function tokenCheck(token: string): (given: string | string[] | undefined) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(token);
  return (given) => typeof given === 'string' && timingSafeEqual(digest(given), expected);
}
