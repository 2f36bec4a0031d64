import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Orm } from '../db/orm.ts';
import type { AlertReceiver } from '../ingest/alerts/receive.ts';
import type { Ingest } from '../ingest/outcome.ts';
import type { DiskReport } from '../process/disk/guard.ts';
import type { Access } from './auth/access.ts';
import type { Keyring } from './auth/keyring.ts';
import type { Addresses } from './http/address.ts';
import type { Rejections } from './intake/rejections/rejections.ts';

/** What the API needs from its process. */
export interface ApiDeps {
  orm: Orm;
  client: Client;
  ingest: Ingest;
  /** Stores alerts that other systems judged. */
  alerts: AlertReceiver;
  access: Access;
  /** Finds the addresses that requests come from. */
  addresses: Addresses;
  /** The keys that this process remembers. Routes that end a key tell it. */
  keyring: Keyring;
  /** The last measured state of PostgreSQL's disk. */
  disk: { report(): DiskReport };
  /** Records what was refused. */
  rejections: Rejections;
  /** The metrics that GET /metrics shows. */
  registry: Registry;
  log: Logger;
  /** Epoch milliseconds. */
  clock: () => number;
  settings: ApiSettings;
  /** Aborted when the process stops. Endless answers, such as streams, end then. */
  stopping: AbortSignal;
}

export interface ApiSettings {
  /** How long events are kept, in milliseconds. */
  retentionMs: number;
  /** Names of the notification channels. */
  channels: readonly string[];
  /** The address at which people reach the API, and that of Temporal's Web UI. */
  publicUrl: string;
  /** True if the API listens on loopback, so that only this machine reaches it. */
  local: boolean;
}
