import { z } from 'zod';
import {
  deleteMapping,
  findMapping,
  insertMapping,
  listMappings,
  replaceMapping,
} from '../../../db/queries/mappings/rows.ts';
import { BUILT_IN } from '../../../domain/events/mapping.ts';
import type { ApiDeps } from '../../deps.ts';
import { jsonBody } from '../../http/body/json.ts';
import { Conflict, NotFound } from '../../http/problem.ts';
import { type Route, route } from '../../http/route.ts';
import type { Mappings } from '../../intake/mappings.ts';
import {
  mappingDefinition,
  mappingIn,
  mappingOut,
  mappingParams,
  showBuiltIn,
  showMapping,
} from './schema.ts';

/**
 * Fields that a request body may contain without effect, so that clients can send back a mapping they read.
 */
const SHOWN = Object.keys(mappingOut.shape);

/** Routes of mappings, which convert the records of log shippers into events. */
export function mappingRoutes({ orm, clock }: ApiDeps, mappings: Mappings): Route[] {
  const changeable = (name: string) => {
    if (Object.hasOwn(BUILT_IN, name)) throw new Conflict(`${name} is built in: choose another name`);
  };
  return [
    route({
      method: 'get',
      path: '/mappings',
      role: 'read',
      tags: ['mappings'],
      summary: 'List mappings',
      responses: {
        200: { description: 'The built-in mappings, then the others by name', schema: z.array(mappingOut) },
      },
      async handle() {
        const builtIn = Object.keys(BUILT_IN).map((name) => showBuiltIn(name)!);
        return { status: 200, body: [...builtIn, ...(await listMappings(orm)).map(showMapping)] };
      },
    }),
    route({
      method: 'post',
      path: '/mappings',
      role: 'operate',
      tags: ['mappings'],
      summary: 'Create a mapping',
      description:
        'A mapping says how records sent to `/ingest/json/{name}` become events. A path is a key, or several keys separated by dots. Of several paths, Tocsin uses the first ' +
        'that leads to a string or a number in the record.',
      body: jsonBody(mappingIn, { ignored: SHOWN }),
      responses: { 201: { description: 'Created', schema: mappingOut } },
      problems: [409],
      async handle({ body: { name, ...definition } }) {
        changeable(name);
        const row = await insertMapping(orm, name, definition, clock());
        if (!row) throw new Conflict(`a mapping ${name} exists already`);
        mappings.forget(name);
        return { status: 201, body: showMapping(row), headers: { Location: `/mappings/${name}` } };
      },
    }),
    route({
      method: 'get',
      path: '/mappings/{mapping}',
      role: 'read',
      tags: ['mappings'],
      summary: 'One mapping',
      params: mappingParams,
      responses: { 200: { description: 'The mapping', schema: mappingOut } },
      problems: [404],
      async handle({ params: { mapping } }) {
        const builtIn = showBuiltIn(mapping);
        if (builtIn) return { status: 200, body: builtIn };
        const row = await findMapping(orm, mapping);
        if (!row) throw new NotFound('Mapping');
        return { status: 200, body: showMapping(row) };
      },
    }),
    route({
      method: 'put',
      path: '/mappings/{mapping}',
      role: 'operate',
      tags: ['mappings'],
      summary: 'Replace a mapping',
      description:
        'Absent fields get their defaults. Every API process uses the new mapping within 5 seconds.',
      params: mappingParams,
      body: jsonBody(mappingDefinition, { ignored: SHOWN }),
      responses: { 200: { description: 'The mapping after the change', schema: mappingOut } },
      problems: [404, 409],
      async handle({ params: { mapping }, body }) {
        changeable(mapping);
        const row = await replaceMapping(orm, mapping, body, clock());
        if (!row) throw new NotFound('Mapping');
        mappings.forget(mapping);
        return { status: 200, body: showMapping(row) };
      },
    }),
    route({
      method: 'delete',
      path: '/mappings/{mapping}',
      role: 'operate',
      tags: ['mappings'],
      summary: 'Remove a mapping',
      description:
        'Within 5 seconds every API process answers 404 to records sent to it. Stored events are kept.',
      params: mappingParams,
      responses: { 204: { description: 'Removed' } },
      problems: [404, 409],
      async handle({ params: { mapping } }) {
        changeable(mapping);
        if (!(await deleteMapping(orm, mapping))) throw new NotFound('Mapping');
        mappings.forget(mapping);
        return { status: 204 };
      },
    }),
  ];
}
