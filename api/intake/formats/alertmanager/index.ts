import type { Format } from '../format.ts';
import { listRoutes } from './lists.ts';
import { receiveRoute } from './receive.ts';
import { statusRoutes } from './status.ts';

/** The routes of Alertmanager's API v2 that Prometheus and amtool use. */
export const alertmanager: Format = {
  name: 'Prometheus, amtool',
  routes: (deps) => [receiveRoute(deps), ...listRoutes(deps), ...statusRoutes(deps)],
};
