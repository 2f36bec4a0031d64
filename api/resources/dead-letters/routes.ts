import type { UpdateDefinition } from '@temporalio/common';
import { z } from 'zod';
import { findDeadLetter, listDeadLetters, waitingBySource } from '../../../db/queries/dead-letters/reads.ts';
import { type By, discardDeadLetters, redriveDeadLetters } from '../../../workflows/messages.ts';
import { deadLetterWorkflow } from '../../../workflows/startable.ts';
import { actorOf } from '../../auth/access.ts';
import type { ApiDeps } from '../../deps.ts';
import { jsonBody } from '../../http/body/json.ts';
import { cursorParameter, linkHeader, page } from '../../http/paging.ts';
import { actor, idParams, queryInteger, withDefault } from '../../http/parameters.ts';
import { Conflict, NotFound } from '../../http/problem.ts';
import { type Route, route } from '../../http/route.ts';
import { updateWithStart } from '../../temporal.ts';
import { requireFlow } from '../backpressure/queue.ts';
import {
  BULK_LIMIT,
  deadLetterDetailOut,
  deadLetterKind,
  deadLetterOut,
  deadLetterState,
  discardedOut,
  redrivenOut,
  selection,
  showDeadLetter,
  showDetail,
} from './schema.ts';

/** How many dead letters one message to their workflow contains. */
const CHUNK = 100;

/** How long a message may take, in milliseconds. Its batches are appended one after the other. */
const PATIENCE_MS = 30_000;

const byPerson = z.object({ actor }).prefault({});
const settled = { description: 'The dead letter as it is now', schema: deadLetterDetailOut };

/** Routes of dead letters: list, redrive, discard. The workflow of the source does the work. */
export function deadLetterRoutes(deps: ApiDeps): Route[] {
  const { orm, client } = deps;
  const find = async (id: string) => {
    const letter = await findDeadLetter(orm, id);
    if (!letter) throw new NotFound('Dead letter');
    return letter;
  };
  const findWaiting = async (id: string) => {
    const letter = await find(id);
    if (letter.state !== 'waiting') throw new Conflict(`the dead letter is ${letter.state} already`);
    return letter;
  };
  /** A change of dead letters of one source, which their workflow makes. */
  const settle =
    <Result>(update: UpdateDefinition<Result, [{ ids: string[] } & By]>) =>
    (sourceId: string, ids: string[], actor: string) =>
      updateWithStart(client, deadLetterWorkflow(sourceId), update, [{ ids, actor }], PATIENCE_MS);
  const redrive = settle(redriveDeadLetters);
  const discard = settle(discardDeadLetters);
  const chosen = async ({ ids, source_id, failure, kind }: z.output<typeof selection>) => {
    const filter = {
      ids: ids ?? undefined,
      sourceId: source_id ?? undefined,
      failure: failure ?? undefined,
      kind: kind ?? undefined,
    };
    const sources = await waitingBySource(orm, filter, BULK_LIMIT);
    return sources.flatMap(({ sourceId, ids }) => chunks(ids).map((some) => ({ sourceId, ids: some })));
  };
  return [
    route({
      method: 'get',
      path: '/dead-letters',
      role: 'read',
      tags: ['dead letters'],
      summary: 'List dead letters',
      query: z.object({
        limit: withDefault(queryInteger(1, 200), 50),
        cursor: cursorParameter,
        source_id: z.string().optional(),
        state: deadLetterState.optional(),
        kind: deadLetterKind.optional(),
        failure: z.string().optional(),
      }),
      responses: {
        200: {
          description: 'Newest first, without their content',
          schema: z.array(deadLetterOut),
          headers: linkHeader,
        },
      },
      async handle({ query: { limit, cursor, source_id: sourceId, ...filter }, ...input }) {
        const found = await listDeadLetters(
          orm,
          { sourceId, ...filter },
          { after: cursor, limit: limit + 1 },
        );
        const { rows, headers } = page(
          found,
          limit,
          ({ createdAt, id }) => ({ at: createdAt.getTime(), id }),
          input,
        );
        return { status: 200, headers, body: rows.map(showDeadLetter) };
      },
    }),
    route({
      method: 'post',
      path: '/dead-letters/redrive',
      role: 'operate',
      tags: ['dead letters'],
      summary: 'Redrive many dead letters',
      description: `Tries again to store the oldest ${BULK_LIMIT} waiting dead letters that match. Those that fail again stay in the state \`waiting\`, with the new reason. The limit of the ingest queue applies, as it does to producers. While that queue is stopped, the answer is 409.`,
      body: jsonBody(selection),
      responses: { 200: { description: 'Which succeeded and which failed', schema: redrivenOut } },
      problems: [409],
      async handle({ body, principal }) {
        const result: z.output<typeof redrivenOut> = { redriven: [], failed: [] };
        const messages = await chosen(body);
        if (messages.length > 0) await requireFlow(deps);
        for (const { sourceId, ids } of messages) {
          const { redriven, failed } = await redrive(sourceId, ids, actorOf(principal, body.actor));
          result.redriven.push(...redriven);
          result.failed.push(...failed);
        }
        return { status: 200, body: result };
      },
    }),
    route({
      method: 'post',
      path: '/dead-letters/discard',
      role: 'operate',
      tags: ['dead letters'],
      summary: 'Discard many dead letters',
      description: `Discards the oldest ${BULK_LIMIT} waiting dead letters that match. They stay on record.`,
      body: jsonBody(selection),
      responses: { 200: { description: 'The discarded dead letters', schema: discardedOut } },
      problems: [409],
      async handle({ body, principal }) {
        const result: z.output<typeof discardedOut> = { discarded: [] };
        for (const { sourceId, ids } of await chosen(body)) {
          result.discarded.push(...(await discard(sourceId, ids, actorOf(principal, body.actor))).discarded);
        }
        return { status: 200, body: result };
      },
    }),
    route({
      method: 'get',
      path: '/dead-letters/{id}',
      role: 'read',
      tags: ['dead letters'],
      summary: 'One dead letter with its content',
      params: idParams,
      responses: { 200: { description: 'The dead letter', schema: deadLetterDetailOut } },
      problems: [404],
      handle: async ({ params }) => ({ status: 200, body: showDetail(await find(params.id)) }),
    }),
    route({
      method: 'post',
      path: '/dead-letters/{id}/redrive',
      role: 'operate',
      tags: ['dead letters'],
      summary: 'Redrive a dead letter',
      description:
        'Tries again to store its events. Each event is stored once, however often you redrive. If it fails again, the answer is 409 with the reason. It is also 409 while the ingest queue is stopped.',
      params: idParams,
      body: jsonBody(byPerson),
      responses: { 200: settled },
      problems: [404, 409],
      async handle({ params: { id }, body, principal }) {
        const { sourceId } = await findWaiting(id);
        await requireFlow(deps);
        const { failed } = await redrive(sourceId, [id], actorOf(principal, body.actor));
        const letter = await find(id);
        if (failed.includes(id)) throw new Conflict(`failed again: ${letter.reason}`);
        return { status: 200, body: showDetail(letter) };
      },
    }),
    route({
      method: 'post',
      path: '/dead-letters/{id}/discard',
      role: 'operate',
      tags: ['dead letters'],
      summary: 'Discard a dead letter',
      description: 'Its events are given up: they are not stored, and cannot be redriven.',
      params: idParams,
      body: jsonBody(byPerson),
      responses: { 200: settled },
      problems: [404, 409],
      async handle({ params: { id }, body, principal }) {
        const { sourceId } = await findWaiting(id);
        await discard(sourceId, [id], actorOf(principal, body.actor));
        return { status: 200, body: showDetail(await find(id)) };
      },
    }),
  ];
}

function chunks(ids: readonly string[]): string[][] {
  const parts: string[][] = [];
  for (let i = 0; i < ids.length; i += CHUNK) parts.push(ids.slice(i, i + CHUNK));
  return parts;
}
