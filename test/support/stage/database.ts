import { connect } from '../../../db/orm.ts';
import { freshDatabase } from '../servers.ts';
import type { Closing } from './stage.ts';

/** Opens a new, migrated database. */
export async function openDatabase(closing: Closing, { connections = 5 } = {}) {
  const { url, drop } = await freshDatabase();
  closing.defer(drop);
  const orm = await connect(url, connections);
  closing.defer(() => orm.close(true));
  return { url, orm };
}
