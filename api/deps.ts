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

/** What the API is made from. */
export interface ApiDeps {
  orm: Orm;
  client: Client;
  ingest: Ingest;
  /** Takes alerts that somebody else judged. */
  alerts: AlertReceiver;
  access: Access;
  /** Where requests come from. */
  addresses: Addresses;
  /** What this process knows of keys, to be told of those that end. */
  keyring: Keyring;
  /** How PostgreSQL's disk is, as last seen. */
  disk: { report(): DiskReport };
  /** Where refusals are noted. */
  rejections: Rejections;
  /** What is measured, for GET /metrics. */
  registry: Registry;
  log: Logger;
  /** Epoch milliseconds. */
  clock: () => number;
  settings: ApiSettings;
  /** Aborted when the process stops: answers that would go on for ever end then. */
  stopping: AbortSignal;
}

export interface ApiSettings {
  /** How long events are kept, in milliseconds. */
  retentionMs: number;
  /** Names of the notification channels. */
  channels: readonly string[];
  /** Where people reach the API, and Temporal's Web UI. */
  publicUrl: string;
  /** Whether it listens on loopback: only this machine reaches it. */
  local: boolean;
}
