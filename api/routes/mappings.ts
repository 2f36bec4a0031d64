import { z } from 'zod';
import {
  deleteMapping,
  findMapping,
  insertMapping,
  listMappings,
  replaceMapping,
} from '../../db/queries/mapping-rows.ts';
import { BUILT_IN } from '../../domain/mapping.ts';
import { jsonBody } from '../body/json.ts';
import type { ApiDeps } from '../deps.ts';
import type { Mappings } from '../mappings.ts';
import { Conflict, NotFound } from '../problem.ts';
import { type Route, route } from '../route.ts';
import {
  mappingDefinition,
  mappingIn,
  mappingOut,
  mappingParams,
  showBuiltIn,
  showMapping,
} from '../schemas/mapping.ts';

/** A mapping may be written back as it was read. */
const SHOWN = Object.keys(mappingOut.shape);

/** How the records of log shippers become events. */
export function mappingRoutes({ orm, clock }: ApiDeps, mappings: Mappings): Route[] {
  const changeable = (name: string) => {
    if (Object.hasOwn(BUILT_IN, name)) throw new Conflict(`${name} is built in: make one under another name`);
  };
  return [
    route({
      method: 'get',
      path: '/mappings',
      role: 'read',
      tags: ['mappings'],
      summary: 'List mappings',
      responses: {
        200: { description: 'The built-in ones, then the others by name', schema: z.array(mappingOut) },
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
      summary: 'Make a mapping',
      description:
        'Records sent to `/ingest/json/{name}` are read by it. A path is a key, or keys with dots between them; of several the first at ' +
        'which a record has a text or a number counts.',
      body: jsonBody(mappingIn, { ignored: SHOWN }),
      responses: { 201: { description: 'Made', schema: mappingOut } },
      problems: [409],
      async handle({ body: { name, ...definition } }) {
        changeable(name);
        const row = await insertMapping(orm, name, definition, clock());
        if (!row) throw new Conflict(`there is a mapping ${name} already`);
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
      description: 'What is absent is as it is by default. Every API process goes by it within 5 seconds.',
      params: mappingParams,
      body: jsonBody(mappingDefinition, { ignored: SHOWN }),
      responses: { 200: { description: 'As it is now', schema: mappingOut } },
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
      description: 'What is sent to it gets 404, from every API process within 5 seconds. Its events stay.',
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
