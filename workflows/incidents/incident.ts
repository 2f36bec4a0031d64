import {
  ActivityFailure,
  ApplicationFailure,
  allHandlersFinished,
  condition,
  currentUpdateInfo,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  upsertSearchAttributes,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { IncidentActivities, IncidentView } from '../../activities/incidents/index.ts';
import { type Action, refusalOf } from '../../domain/incidents/actions.ts';
import { aboutIncident } from '../../domain/temporal-ui/about.ts';
import { firmly } from '../firmly.ts';
import {
  acknowledgeIncident,
  commentIncident,
  incidentChanged,
  incidentStatus,
  resolveIncident,
} from '../messages.ts';
import { FAILURES, retryPolicies } from '../retry-policies.ts';
import { INCIDENT_STATE, RULE_ID, SEVERITY } from '../search-attributes.ts';
import { continueShown, Shown, shows, until } from '../shown.ts';
import { createDeliveries, keyOf } from './deliveries.ts';
import { incidentDetails } from './details.ts';

const read = { summary: 'Read the incident and its notices' };
const loadIncident = firmly(
  proxyLocalActivities<IncidentActivities>({ ...retryPolicies.local, ...read }).loadIncident,
  proxyActivities<IncidentActivities>({ ...retryPolicies.firm, ...read }).loadIncident,
);
const person = { summary: 'Record what a person did' };
const local = proxyLocalActivities<IncidentActivities>({ ...retryPolicies.local, ...person });
const firm = proxyActivities<IncidentActivities>({ ...retryPolicies.firm, ...person });
const acknowledge = firmly(local.acknowledge, firm.acknowledge);
const resolve = firmly(local.resolve, firm.resolve);
const comment = firmly(local.comment, firm.comment);

export interface IncidentInput {
  incident_id: string;
  /** From an earlier run: the due times of deliveries that a receiver asked to delay. */
  resume?: { next_at: Record<string, number> };
}

/** How many signals and updates one run takes. The server's hint to continue as new does not count them. */
const MOST_MESSAGES = 1000;

/**
 * Follows one incident until it is resolved and everybody was told. It reads the incident's row whenever it
 * is signalled, because the rule's workflow writes there too. It sends the notices and executes what people
 * do with the incident.
 */
export async function incident({ incident_id, resume }: IncidentInput): Promise<void> {
  // A replay may complete two local activities at once that completed one after the other. So only one runs
  // at a time; otherwise a replay could issue the following commands in another order.
  const inTurn = shows();
  const exclusively = inTurn ? oneAtATime() : <T>(work: () => Promise<T>) => work();
  const deliveries = createDeliveries(incident_id, { nextAt: resume?.next_at, inTurn });
  const shown = new Shown();
  let view = null as IncidentView | null;
  let changed = true;
  let looking = false;
  let messages = 0;

  setHandler(incidentChanged, () => {
    messages += 1;
    changed = true;
  });
  setHandler(acknowledgeIncident, (input) => byPerson((request) => acknowledge({ ...input, ...request })), {
    validator: (_input) => validate('acknowledge'),
  });
  setHandler(resolveIncident, (input) => byPerson((request) => resolve({ ...input, ...request })), {
    validator: (_input) => validate('resolve'),
  });
  setHandler(commentIncident, (input) => byPerson((request) => comment({ ...input, ...request })));
  setHandler(incidentStatus, () => ({
    state: view?.outline.state ?? 'gone',
    sending: deliveries.outstanding().map(({ notice_id, channel, attempt, next_at, stage }) => ({
      ...{ notice: notice_id, channel, attempt },
      next_at: stage === 'sending' ? null : next_at,
    })),
  }));

  /**
   * Rejects an action that the incident's state certainly refuses. Otherwise the write decides, while it
   * holds the lock of the row.
   */
  function validate(action: Action): void {
    if (!view || changed || looking) return;
    const refusal = refusalOf(action, view.outline.state);
    if (refusal !== null) throw ApplicationFailure.nonRetryable(refusal, FAILURES.rejected);
  }

  async function byPerson(write: (request: { incident_id: string; request: string }) => Promise<void>) {
    messages += 1;
    try {
      const request = currentUpdateInfo()?.id ?? uuid4();
      await exclusively(() => write({ incident_id, request }));
    } catch (error) {
      // Throws the reason itself instead of the activity failure around it.
      throw error instanceof ActivityFailure && error.cause instanceof ApplicationFailure
        ? error.cause
        : error;
    } finally {
      changed = true;
    }
  }

  async function look(): Promise<void> {
    while (changed) {
      changed = false;
      looking = true;
      const before = view;
      view = await loadIncident({ incident_id });
      looking = false;
      if (!view) return;
      shown.setInstallation(view.installation);
      if (shows()) shown.upsert(aboutIncident(incident_id, view.outline));
      else tag(view, before);
      await deliveries.take(view);
    }
  }

  const over = () => !view || (view.outline.state === 'resolved' && deliveries.outstanding().length === 0);
  const tooLong = () => messages >= MOST_MESSAGES || workflowInfo().continueAsNewSuggested;
  const mayLeave = () => (over() || tooLong()) && !deliveries.busy() && allHandlersFinished();

  async function untilSomethingHappens(): Promise<void> {
    const seen = deliveries.turns();
    const next = tooLong() ? null : deliveries.nextDue();
    const something = () => changed || mayLeave() || deliveries.turns() !== seen;
    if (next === null) await condition(something);
    else await until(something, next - Date.now(), 'Next attempt');
    if (deliveries.failure()) throw deliveries.failure();
  }

  do {
    await exclusively(async () => {
      await look();
      await deliveries.settleEnded();
    });
    if (view && !tooLong()) deliveries.sendDue();
    shown.setDetails(incidentDetails(view, deliveries.outstanding(), deliveries.last()));
    if (!mayLeave()) await untilSomethingHappens();
  } while (!mayLeave() || (changed && !tooLong()));
  if (over() && !changed) return;
  const next_at = Object.fromEntries(
    deliveries.outstanding().map((one) => [keyOf(one.notice_id, one.channel), one.next_at]),
  );
  await continueShown<typeof incident>({ incident_id, resume: { next_at } });
}

/** Runs pieces of work one after the other, in the order of the calls. */
function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}

/** Sets search attributes in runs that began under 0.1.0, until they use the current code. */
function tag({ outline }: IncidentView, before: IncidentView | null): void {
  const { state, severity } = outline;
  if (before?.outline.state === state && before.outline.severity === severity) return;
  upsertSearchAttributes([
    { key: RULE_ID, value: outline.rule_id },
    { key: INCIDENT_STATE, value: state },
    { key: SEVERITY, value: severity },
  ]);
}
