import { z } from 'zod';
import { sqlOf } from '../../../../db/orm.ts';
import type { Received } from '../../../../ingest/alerts/receive.ts';
import { fromPostableAlert } from '../../../../ingest/formats/alertmanager.ts';
import { requireSource } from '../../../auth/access.ts';
import { readJson } from '../../../http/body/json.ts';
import { BATCH_BODY_LIMIT, BATCH_LIMIT } from '../../../http/limits.ts';
import { Invalid } from '../../../http/problem.ts';
import { type BodySpec, type Route, route } from '../../../http/route.ts';
import { admitAlerts } from '../../alert-rate.ts';
import { errorsAt, requireBatch } from '../../batch.ts';
import { noteItems } from '../../rejections/attempt.ts';
import type { FormatDeps } from '../format.ts';
import { dialect } from './dialect.ts';
import { postableAlert } from './schema.ts';

const posted: BodySpec<unknown[]> = {
  content: { 'application/json': z.array(postableAlert).max(BATCH_LIMIT) },
  optional: false,
  async read(body) {
    const raw = await readJson(body, BATCH_BODY_LIMIT, 'mended');
    if (!Array.isArray(raw)) throw new Invalid([{ field: 'body', reason: 'must be an array of alerts' }]);
    requireBatch(raw, 'alerts: send them in parts');
    return raw;
  },
};

/** The route that receives alerts from Prometheus and amtool. */
export function receiveRoute({ orm, access, alerts, clock }: FormatDeps): Route {
  return route({
    method: 'post',
    path: '/api/v2/alerts',
    role: 'ingest',
    ingests: 'alerts',
    tags: ['received alerts'],
    summary: 'Receive alerts (Alertmanager API v2)',
    description:
      'For Prometheus (`alerting: alertmanagers:`) and `amtool alert add`. The label set identifies an alert. Each alert opens one incident, which resolves ' +
      'at `endsAt`, or 5 minutes after the alert was last sent if it has none. The API answers after the alerts are stored. If some alerts are invalid, the answer is 400 and the others are stored. If the key opens more alerts than its rate allows, the answer is 429: new alerts are refused, but alerts that are active are refreshed and resolved.',
    body: posted,
    responses: { 200: { description: 'Stored' } },
    dialect,
    async handle({ body, principal }) {
      requireSource(principal, 'alertmanager');
      const now = clock();
      const converted = body.map((raw) => fromPostableAlert(raw, now));
      const given = converted.flatMap((item) => ('alert' in item ? [item.alert] : []));
      const { received, refused } = await admitAlerts(given, { db: sqlOf(orm), access, principal, now });
      const good = given.filter((_, i) => received[i]);
      const outcomes = await alerts.receive(good, principal.name, principal.id ?? '');
      if (refused) throw refused;
      const results = outcomes.values();
      const errors = converted.flatMap((item, i) => {
        const result: Received =
          'alert' in item ? results.next().value! : { status: 'invalid', errors: item.invalid };
        if (result.status !== 'invalid') return [];
        noteItems([{ event: body[i] }], [result]);
        return errorsAt(i, result.errors);
      });
      if (errors.length > 0) throw new Invalid(errors);
      return { status: 200 };
    },
  });
}
