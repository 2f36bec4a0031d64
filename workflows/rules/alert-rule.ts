import {
  allHandlersFinished,
  condition,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Evaluated } from '../../activities/rules/evaluate.ts';
import type { RuleActivities } from '../../activities/rules/index.ts';
import { aboutRule, standingOf } from '../../domain/temporal-ui/about.ts';
import { firmly } from '../firmly.ts';
import { type RuleState, ruleChanged, ruleState, wakeRule } from '../messages.ts';
import { retryPolicies } from '../retry-policies.ts';
import { RULE_ID } from '../search-attributes.ts';
import { continueShown, Shown, shows } from '../shown.ts';

/**
 * How many signals and evaluations one run takes before it continues as new. The server's own hint does not
 * count signals.
 */
const EVALUATIONS_A_RUN = 1000;
const SIGNALS_A_RUN = 5000;

const summary = 'Judge what is pending';
const evaluateRule = firmly(
  proxyLocalActivities<RuleActivities>({ ...retryPolicies.local, summary }).evaluateRule,
  proxyActivities<RuleActivities>({ ...retryPolicies.firm, summary }).evaluateRule,
);
const { backfillRule } = proxyActivities<RuleActivities>({
  ...retryPolicies.backfill,
  summary: 'Count what was in the window before',
});

export interface AlertRuleInput {
  rule_id: string;
  evaluations?: number;
}

/**
 * Judges the groups of one rule, one evaluation after the other; no other workflow does. It sleeps until a
 * signal says that something may have changed. The rows say what, so a lost signal loses nothing, and two
 * signals do not cause two evaluations.
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
  const shown = new Shown();
  let about: Evaluated['about'];
  if (!shows()) upsertSearchAttributes([{ key: RULE_ID, value: rule_id }]);

  while (true) {
    await condition(() => woken);
    woken = false;
    const result = await evaluateRule({ rule_id, ...(about ? { shown: about.mark } : {}) });
    evaluated++;
    if (result.gone) return;
    about = result.about ?? about;
    if (about) {
      shown.setInstallation(about.installation);
      shown.upsert(aboutRule(rule_id, about.rule, standingOf(about.rule.enabled, result)));
    }
    if (result.backfill !== null) {
      shown.setDetails([
        `**Counting** the events that were in its window before revision ${result.revision}.`,
      ]);
      await backfillRule({ rule_id, revision: result.backfill });
    }
    if (result.more) woken = true;
    state.evaluations++;
    state.firing = result.firing;
    state.pending = result.pending;
    state.last_evaluated_at = Date.now();
    shown.setDetails(detailsOf(result, state, about));
    const due =
      workflowInfo().continueAsNewSuggested || evaluated >= EVALUATIONS_A_RUN || signals >= SIGNALS_A_RUN;
    if (due) {
      await condition(allHandlersFinished);
      await continueShown<typeof alertRule>({ rule_id, evaluations: state.evaluations });
    }
  }
}

function detailsOf(
  { revision }: Evaluated,
  { firing, pending, evaluations, last_evaluated_at }: RuleState,
  about: Evaluated['about'],
): string[] {
  const enabled = about?.rule.enabled ?? true;
  const groups = (count: number) => `${count} ${count === 1 ? 'group' : 'groups'}`;
  const standing = {
    disabled: '**Disabled**: it judges nothing until somebody enables it.',
    quiet: '**Quiet**: waits for events that may make it fire.',
    pending: `**Pending**: ${groups(pending)} must meet the condition for longer before the rule fires.`,
    firing: `**Firing**: ${groups(firing)} firing, ${pending} pending. Waits until they are quiet again.`,
  }[standingOf(enabled, { firing, pending })];
  return [
    standing,
    [
      ...(about ? [`- Fires when: ${about.rule.fires_when}`] : []),
      `- Revision ${revision}, judged ${evaluations} times, last at ${new Date(last_evaluated_at ?? 0).toISOString()}`,
    ].join('\n'),
  ];
}
