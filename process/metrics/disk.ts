import { Gauge, type Registry } from 'prom-client';
import type { DiskReport } from '../disk/guard.ts';

/** Exports the free space of PostgreSQL's disk; nothing while it is unknown. */
export function watchDisk(registry: Registry, disk: { report(): DiskReport }): void {
  const gauge = (name: string, help: string, read: (report: DiskReport) => number | null) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        const value = read(disk.report());
        if (value === null) this.remove();
        else this.set(value);
      },
    });
  gauge('tocsin_disk_free_bytes', 'Free space on the disk of PostgreSQL', ({ free_bytes }) => free_bytes);
  gauge('tocsin_disk_size_bytes', 'Size of the disk of PostgreSQL', ({ total_bytes }) => total_bytes);
  gauge(
    'tocsin_disk_full',
    '1 while events are refused because the disk of PostgreSQL is full',
    ({ state }) => (state === 'full' ? 1 : 0),
  );
}
