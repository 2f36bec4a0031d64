import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { bytesInUse, clusterIdentity } from '../../db/queries/system/storage.ts';
import type { Space } from '../../domain/system/disk.ts';

/** How the free space was found out. */
export type KnownBy = 'data directory' | 'path' | 'quota';

export interface Measured extends Space {
  knownBy: KnownBy;
}

/**
 * Measures the space that PostgreSQL has; null if there is no way to measure it. @throws when the measurement
 * fails
 */
export type MeasureDisk = () => Promise<Measured | null>;

/** Reads the size of a file system, as `fs.statfs` does. */
type StatFs = (path: string) => Promise<{ bsize: number; blocks: number; bfree: number; bavail: number }>;

/**
 * Chooses how to measure PostgreSQL's space, because SQL cannot tell it. The first of these that is available
 * counts: the file system of `path`, where somebody mounted the disk for Tocsin to see; a `quota` in bytes,
 * minus the size of all databases and the WAL; the data directory itself, if PostgreSQL runs on this machine.
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
    // The WAL may be on a disk of its own. Then the disk with less free space counts.
    const [data, wal] = await Promise.all([
      spaceOf(directory, stat),
      spaceOf(join(directory, 'pg_wal'), stat),
    ]);
    const tighter = wal.free / wal.total < data.free / data.total ? wal : data;
    return { ...tighter, knownBy: 'data directory' };
  };
}

/** Free space as `df` counts it. PostgreSQL cannot use blocks that are reserved for root. */
async function spaceOf(path: string, stat: StatFs): Promise<Space> {
  const { bsize, blocks, bfree, bavail } = await stat(path);
  return { free: bavail * bsize, total: (blocks - bfree + bavail) * bsize };
}

/** The data directory, if it is on this machine; else null. */
async function localDataDirectory(orm: Orm): Promise<string | null> {
  const { directory, identifier } = await clusterIdentity(sqlOf(orm));
  return directory !== null && (await holdsCluster(directory, identifier)) ? directory : null;
}

/**
 * Says whether a directory contains the cluster with this identifier. A local directory of the same name may
 * belong to another cluster.
 */
export async function holdsCluster(directory: string, identifier: string): Promise<boolean> {
  try {
    return (await identifierIn(directory)) === identifier;
  } catch {
    return false;
  }
}

/** Reads the system identifier of a cluster. `pg_control` begins with it, in this machine's byte order. */
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
