import type { Sql } from '../../db/orm.ts';
import { activeAmong } from '../../db/queries/received-alerts/reads.ts';
import { storableText } from '../../db/storable.ts';
import { type ReceivedAlert, resolves } from '../../domain/received-alerts/alert.ts';
import type { Access, Principal } from '../auth/access.ts';
import { RateExceeded } from '../http/problem.ts';

/** Which alerts of a request may be stored, and why the others are refused. */
export interface Admitted {
  /** For each alert, whether it may be stored. */
  received: boolean[];
  refused: RateExceeded | null;
}

/**
 * Counts the new alerts of a request against the rate of its key. Above the rate, new alerts are refused.
 * Updates of known alerts are stored at any rate: without a refresh an alert would seem to be over, and
 * without its end it would seem to continue.
 * @param alerts of one protocol
 */
export async function admitAlerts(
  alerts: readonly ReceivedAlert[],
  { db, access, principal, now }: { db: Sql; access: Access; principal: Principal; now: number },
): Promise<Admitted> {
  const all = { received: alerts.map(() => true), refused: null };
  // Without keys there is no rate.
  if (principal.id === null) return all;
  const firing = alerts.filter((alert) => alert.action === 'trigger' && !resolves(alert, now));
  const [first] = firing;
  if (!first) return all;
  const keyOf = ({ key }: ReceivedAlert) => storableText(key);
  const active = await activeAmong(db, first.protocol, firing.map(keyOf), now);
  const opening = new Set(firing.map(keyOf).filter((key) => !active.has(key)));
  try {
    await access.spendAlerts(principal, opening.size);
    return all;
  } catch (error) {
    if (!(error instanceof RateExceeded)) throw error;
    const isNew = new Set(firing.filter((alert) => opening.has(keyOf(alert))));
    return { received: alerts.map((alert) => !isNew.has(alert)), refused: error };
  }
}
