import type { ApiDeps } from '../deps.ts';
import { Mappings } from '../mappings.ts';
import type { Route } from '../route.ts';
import { alertRoutes } from './alerts.ts';
import { analyticsRoutes } from './analytics.ts';
import { auditRoutes } from './audit.ts';
import { backpressureRoutes } from './backpressure.ts';
import { deadLetterRoutes } from './dead-letters.ts';
import { eventExportRoutes } from './event-export.ts';
import { eventStreamRoutes } from './event-stream.ts';
import { eventRoutes } from './events.ts';
import { alertmanagerRoutes } from './formats/alertmanager.ts';
import { jsonRoutes } from './formats/json.ts';
import { otlpRoutes } from './formats/otlp.ts';
import { pagerdutyRoutes } from './formats/pagerduty.ts';
import { healthRoutes } from './health.ts';
import { incidentRoutes } from './incidents.ts';
import { ingestRoutes } from './ingest.ts';
import { keyRoutes } from './keys.ts';
import { mappingRoutes } from './mappings.ts';
import { metricsRoutes } from './metrics.ts';
import { processRoutes } from './processes.ts';
import { producerRoutes } from './producers.ts';
import { rejectionRoutes } from './rejections.ts';
import { sampleRoutes } from './samples.ts';
import { sessionRoutes } from './session.ts';
import { storageRoutes } from './storage.ts';

/** Every endpoint. The first that fits a request takes it, so the busiest comes first. */
export function allRoutes(deps: ApiDeps): Route[] {
  const mappings = new Mappings(deps);
  return [
    ...ingestRoutes(deps),
    ...otlpRoutes(deps),
    ...jsonRoutes(deps, mappings),
    ...alertmanagerRoutes(deps),
    ...pagerdutyRoutes(deps),
    ...eventStreamRoutes(deps),
    ...eventExportRoutes(deps),
    ...eventRoutes(deps),
    ...alertRoutes(deps),
    ...incidentRoutes(deps),
    ...producerRoutes(deps),
    ...backpressureRoutes(deps),
    ...deadLetterRoutes(deps),
    ...mappingRoutes(deps, mappings),
    ...analyticsRoutes(deps),
    ...sampleRoutes(deps),
    ...keyRoutes(deps),
    ...sessionRoutes(deps),
    ...auditRoutes(deps),
    ...healthRoutes(deps),
    ...processRoutes(deps),
    ...rejectionRoutes(deps),
    ...storageRoutes(deps),
    ...metricsRoutes(deps),
  ];
}
