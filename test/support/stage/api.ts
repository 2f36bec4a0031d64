import type { AddressInfo } from 'node:net';
import type { Client } from '@temporalio/client';
import { Registry } from 'prom-client';
import { createApp } from '../../../api/app.ts';
import { openDoor } from '../../../api/auth/door.ts';
import type { ApiDeps } from '../../../api/deps.ts';
import { addressesBehind } from '../../../api/http/address.ts';
import { apiServer } from '../../../api/http/server.ts';
import { Rejections } from '../../../api/intake/rejections/rejections.ts';
import { allRoutes } from '../../../api/resources/index.ts';
import type { Orm } from '../../../db/orm.ts';
import { DAY_MS } from '../../../domain/events/event.ts';
import { createAlertReceiver } from '../../../ingest/alerts/receive.ts';
import { Deafness } from '../../../process/deafness.ts';
import type { DiskReport } from '../../../process/disk/guard.ts';
import { observeIngest } from '../../../process/metrics/ingest.ts';
import { startIngest } from './ingest.ts';
import { silent as log } from './log.ts';
import type { Closing } from './stage.ts';

export const TOKEN = 'a-token-of-our-own';
export const RETENTION_DAYS = 30;

/** A disk whose free space is unknown. */
const UNKNOWN_DISK: DiskReport = {
  state: 'unknown',
  ...{ free_bytes: null, total_bytes: null, known_by: null, measured_at: null },
};

export type ApiOptions = {
  channels?: string[];
  /** How long a connection may make no progress, in milliseconds. */
  stalledMs?: number;
  /** Proxies whose reported client addresses the API believes. */
  proxies?: string[];
  /** Replaces some of what the API is made from. */
  change?: (deps: ApiDeps) => Partial<ApiDeps>;
};

/** Starts the API. It is open to everyone, unless `change` replaces its access control. */
export async function startApi(
  closing: Closing,
  { orm, client }: { orm: Orm; client: Client },
  { channels = [], stalledMs, proxies = [], change = () => ({}) }: ApiOptions,
) {
  const clock = Date.now;
  const registry = new Registry();
  const observer = observeIngest(registry, 'http');
  const ingest = startIngest(closing, { orm, client, observer });
  const rejections = new Rejections({ orm, clock, log, registry, observer, deafness: new Deafness('api') });
  const alerts = createAlertReceiver({ orm, ingest, client, clock, log });
  closing.defer(() => alerts.stop());
  const publicUrl = 'http://127.0.0.1:8000';
  const settings = { retentionMs: RETENTION_DAYS * DAY_MS, channels, publicUrl, local: true };
  const addresses = addressesBehind(proxies);
  const { access, keyring } = openDoor({
    ...{ orm, clock, log, auth: 'open', ingestToken: TOKEN, publicUrl, addresses },
  });
  const stopping = new AbortController();
  const usual: ApiDeps = {
    ...{
      orm,
      client,
      ingest,
      alerts,
      access,
      addresses,
      keyring,
      registry,
      rejections,
      log,
      clock,
      settings,
    },
    stopping: stopping.signal,
    disk: { report: () => UNKNOWN_DISK },
  };
  const deps = { ...usual, ...change(usual) };
  closing.defer(() => deps.rejections.stop());
  const server = apiServer(createApp(deps).callback(), { keepAliveMs: 60_000, stalledMs });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.defer(async () => {
    stopping.abort();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    routes: allRoutes(deps),
    rejections: deps.rejections,
    /** Ends endless answers. */
    stop: () => stopping.abort(),
  };
}
