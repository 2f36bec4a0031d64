import type { UpdateDefinition } from '@temporalio/common';
import { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import {
  findIncident,
  incidentNotices,
  incidentTimeline,
  listIncidents,
} from '../../../db/queries/incidents/reads.ts';
import { spansWithin } from '../../../db/queries/system/deaf-spans.ts';
import { type Action, refusalOf } from '../../../domain/incidents/actions.ts';
import { factsOf, type IncidentRow } from '../../../domain/incidents/facts.ts';
import { INCIDENT_STATES } from '../../../domain/incidents/incident.ts';
import {
  acknowledgeIncident,
  type By,
  commentIncident,
  resolveIncident,
} from '../../../workflows/messages.ts';
import { incidentWorkflow } from '../../../workflows/startable.ts';
import { actorOf } from '../../auth/access.ts';
import type { ApiDeps } from '../../deps.ts';
import { jsonBody } from '../../http/body/json.ts';
import { cursorParameter, linkHeader, page } from '../../http/paging.ts';
import {
  actor,
  idParams,
  labelParameter,
  queryInteger,
  range,
  uuid,
  withDefault,
} from '../../http/parameters.ts';
import { Conflict, NotFound } from '../../http/problem.ts';
import { type Route, route } from '../../http/route.ts';
import { updateWithStart } from '../../temporal.ts';
import { incidentDetailOut, incidentOut, showIncidentDetail } from './schema.ts';

/** How many deaf spans the API shows with one incident. */
const DEAF_SPANS = 50;

const text = z.string().trim().min(1).max(10_000);
const byPerson = z.object({ actor, comment: text.optional() });
const acted = { description: 'The incident as it is now', schema: incidentOut };

/** Routes of incidents. What people do to an incident goes through its workflow. */
export function incidentRoutes({ orm, client, clock }: ApiDeps): Route[] {
  const find = async (id: string): Promise<IncidentRow> => {
    const incident = await findIncident(sqlOf(orm), id);
    if (!incident) throw new NotFound('Incident');
    return incident;
  };
  const detail = async (id: string) => {
    const db = sqlOf(orm);
    const row = await find(id);
    const { since: from, ended_at } = row;
    const [timeline, notices, deaf] = await Promise.all([
      incidentTimeline(db, id),
      incidentNotices(db, id),
      spansWithin(db, { from, to: ended_at ?? clock(), limit: DEAF_SPANS }),
    ]);
    return showIncidentDetail(row, timeline, notices, deaf);
  };
  /** Lets the incident's workflow carry out an action, unless the state of the row already refuses it. */
  async function carryOut<Input>(
    id: string,
    action: Action,
    update: UpdateDefinition<void, [Input]>,
    input: Input,
  ): Promise<void> {
    const incident = await find(id);
    const refusal = refusalOf(action, incident.state);
    if (refusal !== null) throw new Conflict(refusal);
    await updateWithStart(client, incidentWorkflow(id, incident), update, [input]);
  }
  /** A route by which a person changes the state of an incident. */
  const personActs = (
    action: Action,
    update: UpdateDefinition<void, [By]>,
    words: { summary: string; description: string },
  ) =>
    route({
      method: 'post',
      path: `/incidents/{id}/${action}`,
      role: 'operate',
      tags: ['incidents'],
      ...words,
      params: idParams,
      body: jsonBody(byPerson.prefault({})),
      responses: { 200: acted },
      problems: [404, 409],
      async handle({ params: { id }, body, principal }) {
        const actor = actorOf(principal, body.actor);
        await carryOut(id, action, update, { ...body, actor });
        return { status: 200, body: factsOf(await find(id)) };
      },
    });
  return [
    route({
      method: 'get',
      path: '/incidents',
      role: 'read',
      tags: ['incidents'],
      summary: 'List incidents',
      query: z.object({
        limit: withDefault(queryInteger(1, 200), 50),
        cursor: cursorParameter,
        state: z.enum(INCIDENT_STATES).optional(),
        rule_id: uuid.optional(),
        severity: z.string().optional(),
        label: labelParameter,
        ...range,
      }),
      responses: {
        200: {
          description: 'Incidents by `opened_at`, newest first',
          schema: z.array(incidentOut),
          headers: linkHeader,
        },
      },
      async handle({ query: { limit, cursor, label, ...filter }, ...input }) {
        const found = await listIncidents(
          sqlOf(orm),
          { ...filter, labels: label },
          { after: cursor, limit: limit + 1 },
        );
        const { rows, headers } = page(found, limit, ({ opened_at, id }) => ({ at: opened_at, id }), input);
        return { status: 200, headers, body: rows.map(factsOf) };
      },
    }),
    route({
      method: 'get',
      path: '/incidents/{id}',
      role: 'read',
      tags: ['incidents'],
      summary: 'One incident with its timeline and notices',
      params: idParams,
      responses: { 200: { description: 'The incident', schema: incidentDetailOut } },
      problems: [404],
      handle: async ({ params }) => ({ status: 200, body: await detail(params.id) }),
    }),
    personActs('acknowledge', acknowledgeIncident, {
      summary: 'Acknowledge an open incident',
      description:
        'Records who works on the incident. It stays acknowledged until it is resolved. 409 if it is not open.',
    }),
    personActs('resolve', resolveIncident, {
      summary: 'Resolve an incident by hand',
      description:
        'If the rule is still firing for this group, it opens no new incident for it. A new incident can open once the rule has stopped firing and fires again.',
    }),
    route({
      method: 'post',
      path: '/incidents/{id}/comments',
      role: 'operate',
      tags: ['incidents'],
      summary: 'Comment on an incident, also a resolved one',
      description: 'The comment becomes an entry of the timeline, with the name of the key.',
      params: idParams,
      body: jsonBody(z.object({ actor, text })),
      responses: {
        201: { description: 'The incident, with the comment in its timeline', schema: incidentDetailOut },
      },
      problems: [404, 409],
      async handle({ params: { id }, body, principal }) {
        const actor = actorOf(principal, body.actor);
        await carryOut(id, 'comment', commentIncident, { ...body, actor });
        return { status: 201, body: await detail(id) };
      },
    }),
  ];
}
