import { z } from 'zod';
import type { Producer } from '../../../db/entities/producer.ts';
import {
  deleteProducer,
  findProducer,
  insertProducer,
  listProducers,
  updateProducer,
} from '../../../db/queries/producers/rows.ts';
import { withoutSecrets } from '../../../domain/producers/producer.ts';
import { producerWorkflowId } from '../../../workflows/ids.ts';
import {
  configureProducer,
  type ProducerStatus,
  pauseProducer,
  producerStatus,
  resumeProducer,
} from '../../../workflows/messages.ts';
import { producerWorkflow } from '../../../workflows/startable.ts';
import { actorOf, type Principal } from '../../auth/access.ts';
import type { ApiDeps } from '../../deps.ts';
import { jsonBody } from '../../http/body/json.ts';
import { actor } from '../../http/parameters.ts';
import { Conflict, NotFound } from '../../http/problem.ts';
import { type Route, route } from '../../http/route.ts';
import { ask, updateWithStart } from '../../temporal.ts';
import {
  changedSettings,
  producerDetailOut,
  producerIn,
  producerOut,
  producerParams,
  producerPatch,
  producerSettings,
  recordedProducer,
  showProducer,
  showProducerDetail,
} from './schema.ts';
import { stopProducerWorkflow } from './stop.ts';

/**
 * Fields that a request body may contain without effect, so that clients can send back a producer they read.
 */
const SHOWN = Object.keys(producerDetailOut.shape);

const byPerson = z.object({ actor }).prefault({});
const now = { description: 'The producer after the request', schema: producerDetailOut };

/**
 * Routes of producers. The row has the settings; the workflow emits the events. A change goes to the workflow
 * first, and is stored only if the workflow accepts it. A new producer's row is stored first: if the start
 * fails, housekeeping starts it.
 */
export function producerRoutes(deps: ApiDeps): Route[] {
  const { orm, client, clock, log } = deps;
  const find = async (id: string): Promise<Producer> => {
    const row = await findProducer(orm, id);
    if (!row) throw new NotFound('Producer');
    return row;
  };
  /**
   * Starts or changes the workflow. A running workflow gets `told`; the row's `paused` is for one that must
   * be started.
   */
  const configure = (
    { id, settings, paused }: Pick<Producer, 'id' | 'settings' | 'paused'>,
    told: { paused: boolean | undefined },
  ) =>
    updateWithStart(client, producerWorkflow({ source_id: id, settings, paused }), configureProducer, [
      { settings: withoutSecrets(settings), paused: told.paused },
    ]);
  const turn = async (
    id: string,
    update: typeof pauseProducer,
    paused: boolean,
    { principal, body }: { principal: Principal; body: { actor?: string } },
  ) => {
    const row = await find(id);
    // The workflow starts only if it does not run, and with the old settings. The update then decides about
    // the new ones.
    const workflow = producerWorkflow({ source_id: id, settings: row.settings, paused: !paused });
    const status = await updateWithStart(client, workflow, update, [
      { actor: actorOf(principal, body.actor) },
    ]).catch((error: unknown) => {
      // An earlier request reached the workflow but not the row, so the two differ. This repeats the change.
      if (error instanceof Conflict && row.paused !== paused) return configure(row, { paused });
      throw error;
    });
    return { status: 200 as const, body: await changed(id, { paused }, status, principal) };
  };
  const changed = async (
    id: string,
    change: Parameters<typeof updateProducer>[2],
    status: ProducerStatus,
    principal: Principal,
  ) => {
    const row = await updateProducer(orm, id, change, clock());
    if (!row) throw new NotFound('Producer');
    return showProducerDetail(row, status, principal);
  };
  return [
    route({
      method: 'get',
      path: '/producers',
      role: 'read',
      tags: ['producers'],
      summary: 'List producers',
      responses: { 200: { description: 'All producers by id', schema: z.array(producerOut) } },
      async handle({ principal }) {
        const rows = await listProducers(orm);
        return { status: 200, body: rows.map((row) => showProducer(row, principal)) };
      },
    }),
    route({
      method: 'post',
      path: '/producers',
      role: 'operate',
      tags: ['producers'],
      summary: 'Create a producer and start it',
      description:
        'If Temporal is unavailable, the producer is stored and `status` is null. It starts when Temporal is back.',
      body: jsonBody(producerIn, { ignored: SHOWN }),
      responses: { 201: { description: 'Created', schema: producerDetailOut } },
      problems: [409],
      recordedAs: recordedProducer,
      async handle({ body: { id, kind, settings, paused, sample }, principal }) {
        const given = { id, settings: producerSettings(kind, settings), paused, sample };
        const row = await insertProducer(orm, given, clock());
        if (!row) throw new Conflict(`a producer ${id} exists already`);
        const status = await configure(row, row).catch((error: unknown) => {
          log.warn({ err: error, source_id: id }, 'the producer could not be started; housekeeping will');
          return null;
        });
        const headers = { Location: `/producers/${encodeURIComponent(id)}` };
        return { status: 201, body: showProducerDetail(row, status, principal), headers };
      },
    }),
    route({
      method: 'get',
      path: '/producers/{id}',
      role: 'read',
      tags: ['producers'],
      summary: 'One producer and its status',
      params: producerParams,
      responses: { 200: { description: 'The producer', schema: producerDetailOut } },
      problems: [404],
      async handle({ params: { id }, principal }) {
        const row = await find(id);
        const status = await ask(client, producerWorkflowId(id), producerStatus);
        return { status: 200, body: showProducerDetail(row, status, principal) };
      },
    }),
    route({
      method: 'put',
      path: '/producers/{id}',
      role: 'operate',
      tags: ['producers'],
      summary: 'Change a producer',
      description:
        'Only the fields that the body contains change. Fields that only answers have are ignored, so a client may change an answer and send it back.',
      params: producerParams,
      body: jsonBody(producerPatch, { ignored: SHOWN }),
      responses: { 200: now },
      problems: [404, 409],
      recordedAs: recordedProducer,
      async handle({ params: { id }, body, principal }) {
        const row = await find(id);
        const settings = changedSettings(row.settings, body);
        const paused = body.paused ?? undefined;
        // Only the requested change is sent, because somebody else may be pausing the producer right now.
        const status = await configure({ ...row, settings }, { paused });
        return { status: 200, body: await changed(id, { settings, paused }, status, principal) };
      },
    }),
    route({
      method: 'delete',
      path: '/producers/{id}',
      role: 'operate',
      tags: ['producers'],
      summary: 'Stop a producer and remove it',
      description: 'The producer first finishes the batches that it has started. Its events are kept.',
      params: producerParams,
      responses: { 204: { description: 'Removed' } },
      problems: [404],
      async handle({ params: { id } }) {
        await find(id);
        await stopProducerWorkflow(deps, id);
        if (!(await deleteProducer(orm, id))) throw new NotFound('Producer');
        // While there was a row, housekeeping may have started the workflow again. A workflow that emits
        // events finds out by itself that its row is gone.
        await stopProducerWorkflow(deps, id).catch((error: unknown) => {
          log.warn({ err: error, source_id: id }, 'a removed producer could not be stopped once more');
        });
        return { status: 204 };
      },
    }),
    route({
      method: 'post',
      path: '/producers/{id}/pause',
      role: 'operate',
      tags: ['producers'],
      summary: 'Pause a producer',
      description: 'The producer emits nothing until it is resumed.',
      params: producerParams,
      body: jsonBody(byPerson),
      responses: { 200: now },
      problems: [404, 409],
      handle: ({ params: { id }, ...input }) => turn(id, pauseProducer, true, input),
    }),
    route({
      method: 'post',
      path: '/producers/{id}/resume',
      role: 'operate',
      tags: ['producers'],
      summary: 'Resume a producer',
      description: 'If its circuit breaker is open, the producer tries again at once.',
      params: producerParams,
      body: jsonBody(byPerson),
      responses: { 200: now },
      problems: [404, 409],
      handle: ({ params: { id }, ...input }) => turn(id, resumeProducer, false, input),
    }),
  ];
}
