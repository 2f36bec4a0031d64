import type { MappingDefinition } from '../../../domain/events/mapping.ts';
import { MappingEntity, type MappingRow } from '../../entities/mapping.ts';
import { managerOf, type Orm } from '../../orm.ts';

/** Lists all mappings that people created, by name. */
export async function listMappings(orm: Orm): Promise<MappingRow[]> {
  return managerOf(orm).find(MappingEntity, {}, { orderBy: { name: 'asc' } });
}

/** Finds a mapping, or null. */
export async function findMapping(orm: Orm, name: string): Promise<MappingRow | null> {
  return managerOf(orm).findOne(MappingEntity, { name });
}

/** Stores a new mapping. Returns null if there is one of that name. `now`: epoch ms. */
export async function insertMapping(
  orm: Orm,
  name: string,
  definition: MappingDefinition,
  now: number,
): Promise<MappingRow | null> {
  const em = managerOf(orm);
  const at = new Date(now);
  const row = { name, definition, createdAt: at, updatedAt: at };
  const inserted = await em
    .createQueryBuilder(MappingEntity)
    .insert(row)
    .onConflict('name')
    .ignore()
    .execute('run');
  return inserted.affectedRows === 0 ? null : em.findOne(MappingEntity, { name });
}

/** Replaces the definition of a mapping. Returns null if there is none of that name. `now`: epoch ms. */
export async function replaceMapping(
  orm: Orm,
  name: string,
  definition: MappingDefinition,
  now: number,
): Promise<MappingRow | null> {
  const em = managerOf(orm);
  const changed = await em.nativeUpdate(MappingEntity, { name }, { definition, updatedAt: new Date(now) });
  return changed === 0 ? null : em.findOne(MappingEntity, { name });
}

/** Removes a mapping. Returns false if there was none. */
export async function deleteMapping(orm: Orm, name: string): Promise<boolean> {
  return (await managerOf(orm).nativeDelete(MappingEntity, { name })) > 0;
}
