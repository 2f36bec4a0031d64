import type { ApiDeps } from '../../deps.ts';
import type { Route } from '../../http/route.ts';
import { Intake } from '../intake.ts';
import type { Mappings } from '../mappings.ts';
import { alertmanager } from './alertmanager/index.ts';
import { cloudEvents } from './cloudevents.ts';
import type { Format } from './format.ts';
import { mappedJson } from './mapped-json.ts';
import { otlp } from './otlp.ts';
import { ownJson } from './own-json.ts';
import { pagerDuty } from './pagerduty.ts';

/** All wire formats. A new one is a file or folder beside this one, and a line here. */
export const FORMATS: readonly Format[] = [ownJson, cloudEvents, otlp, mappedJson, alertmanager, pagerDuty];

/** The routes that receive events and alerts, in the order of the formats. */
export function formatRoutes(deps: ApiDeps, mappings: Mappings): Route[] {
  const bodies = FORMATS.flatMap(({ body }) => body ?? []);
  const all = { ...deps, intake: new Intake(deps), mappings, bodies };
  return FORMATS.flatMap((format) => format.routes?.(all) ?? []);
}
