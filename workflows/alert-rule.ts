import {
  allHandlersFinished,
  condition,
  continueAsNew,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { RuleActivities } from '../activities/rules/index.ts';
import { firmly } from './firmly.ts';
import { type RuleState, ruleChanged, ruleState, wakeRule } from './messages.ts';
import { backfillPolicy, firmPolicy, localPolicy } from './policies.ts';
import { RULE_ID } from './search-attributes.ts';

/** Signals and evaluations a run takes before it continues as new: the server's own hint doesn't count signals. */
const EVALUATIONS_A_RUN = 1000;
const SIGNALS_A_RUN = 5000;

const summary = 'Judge what is pending';
const evaluateRule = firmly(
  proxyLocalActivities<RuleActivities>({ ...localPolicy, summary }).evaluateRule,
  proxyActivities<RuleActivities>({ ...firmPolicy, summary }).evaluateRule,
);
const { backfillRule } = proxyActivities<RuleActivities>({
  ...backfillPolicy,
  summary: 'Count what was in the window before',
});

export interface AlertRuleInput {
  rule_id: string;
  evaluations?: number;
}

/**
 * The one place where a rule's windows are judged, in order. It sleeps until it is told that something may have changed;
 * what exactly is in the database, so that nothing is lost with a signal, and nothing judged twice for two.
 */
export async function alertRule({ rule_id, evaluations = 0 }: AlertRuleInput): Promise<void> {
  let woken = true;
  let signals = 0;
  let evaluated = 0;
  const state: RuleState = { evaluations, firing: 0, pending: 0, last_evaluated_at: null };
  const onSignal = () => {
    woken = true;
    signals++;
  };
  setHandler(wakeRule, onSignal);
  setHandler(ruleChanged, onSignal);
  setHandler(ruleState, () => state);
  upsertSearchAttributes([{ key: RULE_ID, value: rule_id }]);

  while (true) {
    await condition(() => woken);
    woken = false;
    const result = await evaluateRule({ rule_id });
    evaluated++;
    if (result.gone) return;
    if (result.backfill !== null) {
      setCurrentDetails(
        `Rule **${result.name}**: counting what was in its window before revision ${result.revision}`,
      );
      await backfillRule({ rule_id, revision: result.backfill });
    }
    if (result.more) woken = true;
    state.evaluations++;
    state.firing = result.firing;
    state.pending = result.pending;
    state.last_evaluated_at = Date.now();
    setCurrentDetails(detailsOf(result, state));
    const due =
      workflowInfo().continueAsNewSuggested || evaluated >= EVALUATIONS_A_RUN || signals >= SIGNALS_A_RUN;
    if (due) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof alertRule>({ rule_id, evaluations: state.evaluations });
    }
  }
}

function detailsOf({ name, revision }: { name: string; revision: number }, state: RuleState): string {
  const standing =
    state.firing + state.pending === 0
      ? 'all quiet'
      : `${state.firing} groups firing, ${state.pending} pending`;
  return `Rule **${name}**, revision ${revision}: ${standing}. Judged ${state.evaluations} times, last at ${new Date(
    state.last_evaluated_at ?? 0,
  ).toISOString()}.`;
}
