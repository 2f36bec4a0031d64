import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { bytesInUse, clusterIdentity } from '../../db/queries/system/storage.ts';
import type { Space } from '../../domain/system/disk.ts';

/** By what the free space of PostgreSQL's disk is known. */
export type KnownBy = 'data directory' | 'path' | 'quota';

export interface Measured extends Space {
  knownBy: KnownBy;
}

/** Finds out how much room PostgreSQL has; null where nothing says. @throws when what should say doesn't */
export type MeasureDisk = () => Promise<Measured | null>;

/** What a file system says of itself, as `fs.statfs` has it. */
type StatFs = (path: string) => Promise<{ bsize: number; blocks: number; bfree: number; bavail: number }>;

/**
 * PostgreSQL has no SQL for the room on its disk. What says it, in this order: the file system of `path`,
 * where somebody mounted the disk for us to see; a `quota` in bytes, less what all databases and the WAL
 * take; or the data directory itself, when PostgreSQL runs on this machine.
 */
export function diskMeasure({
  orm,
  path,
  quota,
  stat = statfs,
}: {
  orm: Orm;
  path?: string;
  quota?: number;
  stat?: StatFs;
}): MeasureDisk {
  if (path !== undefined) return async () => ({ ...(await spaceOf(path, stat)), knownBy: 'path' });
  if (quota !== undefined) {
    return async () => {
      const used = await bytesInUse(sqlOf(orm));
      return { free: Math.max(0, quota - used), total: quota, knownBy: 'quota' };
    };
  }
  let directory: string | null = null;
  return async () => {
    directory ??= await localDataDirectory(orm);
    if (directory === null) return null;
    // The WAL may be on a disk of its own: the tighter of the two counts.
    const [data, wal] = await Promise.all([
      spaceOf(directory, stat),
      spaceOf(join(directory, 'pg_wal'), stat),
    ]);
    const tighter = wal.free / wal.total < data.free / data.total ? wal : data;
    return { ...tighter, knownBy: 'data directory' };
  };
}

/** As `df` counts: blocks that only root may use are no room for PostgreSQL. */
async function spaceOf(path: string, stat: StatFs): Promise<Space> {
  const { bsize, blocks, bfree, bavail } = await stat(path);
  return { free: bavail * bsize, total: (blocks - bfree + bavail) * bsize };
}

/** The data directory, if it is on this machine. */
async function localDataDirectory(orm: Orm): Promise<string | null> {
  const { directory, identifier } = await clusterIdentity(sqlOf(orm));
  return directory !== null && (await holdsCluster(directory, identifier)) ? directory : null;
}

/**
 * Whether the cluster of this identifier is in a directory of ours: of the same name there may be another
 * one.
 */
export async function holdsCluster(directory: string, identifier: string): Promise<boolean> {
  try {
    return (await identifierIn(directory)) === identifier;
  } catch {
    return false;
  }
}

/** The cluster's system identifier: `pg_control` begins with it, in this machine's byte order. */
async function identifierIn(directory: string): Promise<string> {
  const file = await open(join(directory, 'global', 'pg_control'));
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    if (bytesRead < 8) throw new Error('pg_control is cut short');
    return String(new BigUint64Array(buffer.buffer, buffer.byteOffset, 1)[0]);
  } finally {
    await file.close();
  }
}
