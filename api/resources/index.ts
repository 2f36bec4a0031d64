import type { ApiDeps } from '../deps.ts';
import type { Route } from '../http/route.ts';
import { formatRoutes } from '../intake/formats/index.ts';
import { Mappings } from '../intake/mappings.ts';
import { backpressureRoutes } from './backpressure/routes.ts';
import { deadLetterRoutes } from './dead-letters/routes.ts';
import { analyticsRoutes } from './events/analytics.ts';
import { eventExportRoutes } from './events/export.ts';
import { eventRoutes } from './events/routes.ts';
import { eventStreamRoutes } from './events/stream.ts';
import { incidentRoutes } from './incidents/routes.ts';
import { auditRoutes } from './keys/audit.ts';
import { keyRoutes } from './keys/routes.ts';
import { sessionRoutes } from './keys/session.ts';
import { mappingRoutes } from './mappings/routes.ts';
import { producerRoutes } from './producers/routes.ts';
import { rejectionRoutes } from './rejections/routes.ts';
import { ruleRoutes } from './rules/routes.ts';
import { healthRoutes } from './system/health.ts';
import { metricsRoutes } from './system/metrics.ts';
import { processRoutes } from './system/processes.ts';
import { sampleRoutes } from './system/samples.ts';
import { storageRoutes } from './system/storage.ts';

/** All endpoints. The first one that fits a request takes it, so the busiest come first. */
export function allRoutes(deps: ApiDeps): Route[] {
  const mappings = new Mappings(deps);
  return [
    ...formatRoutes(deps, mappings),
    ...eventStreamRoutes(deps),
    ...eventExportRoutes(deps),
    ...eventRoutes(deps),
    ...ruleRoutes(deps),
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
