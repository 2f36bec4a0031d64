import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { MappingDefinition } from '../../domain/events/mapping.ts';

/** A mapping: how the records of a log shipper become events. Requests name it in their path. */
export const MappingEntity = defineEntity({
  name: 'Mapping',
  tableName: 'mappings',
  properties: {
    name: p.string().length(64).primary(),
    definition: p.json<MappingDefinition>(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
  },
});
export type MappingRow = InferEntity<typeof MappingEntity>;
