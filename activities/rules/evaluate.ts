import { type Orm, sqlOf } from '../../db/orm.ts';
import { forgetSettled } from '../../db/queries/rules/counts-kept.ts';
import { forgetRegrouped } from '../../db/queries/rules/forget-groups.ts';
import { loadRule } from '../../db/queries/rules/judging.ts';
import { hasLeftGroups, standingCounts } from '../../db/queries/rules/revisions.ts';
import { firesWhen, type Installation, type ShownRule } from '../../domain/temporal-ui/about.ts';
import { type JudgeDeps, judgePending } from './judge.ts';
import { judgeLeft, removeDeleted, settle, successorOf } from './settle.ts';

/** Longest stretch of work in one call, in milliseconds; what is left is done by the next. */
const LONGEST_MS = 2000;

export interface Evaluated {
  /** The rule is gone: its workflow ends. */
  gone: boolean;
  /** A revision that must be backfilled before anything can be judged. */
  backfill: number | null;
  /** There is more to judge. */
  more: boolean;
  name: string;
  revision: number;
  firing: number;
  pending: number;
  /** What the workflow shows of the rule. Absent if it shows that already, and in histories of 0.1.0. */
  about?: { rule: ShownRule & { fires_when: string }; installation: Installation; mark: string };
}

export interface EvaluateDeps extends JudgeDeps {
  /** Tells workflows to look at their rows. Neither may throw: what they fail to do, the sweep does. */
  signalIncidents: (ids: readonly string[]) => Promise<void>;
  signalRules: (ids: readonly string[]) => Promise<void>;
}

/**
 * Does whatever is due for a rule: settles superseded revisions, oldest first, then judges what is pending
 * for the one in force. Everything is on record when it returns; broken off anywhere, the rows left behind
 * say what is still to be done.
 */
export async function evaluate(
  { signalIncidents, signalRules, ...judging }: EvaluateDeps,
  ruleId: string,
): Promise<Omit<Evaluated, 'about'> & { rule?: ShownRule & { fires_when: string } }> {
  const started = performance.now();
  const { orm } = judging;
  const rule = await loadRule(sqlOf(orm), ruleId);
  const gone = { gone: true, backfill: null, more: false, name: '', revision: 0, firing: 0, pending: 0 };
  if (!rule) return gone;
  const { words } = rule;
  const versions = rule.versions.filter((version) => !version.handed_over);
  const current = versions.at(-1);
  if (!current) return gone;
  const { name, incident_severity } = words;
  const { definition, enabled, revision } = current;
  const severity = incident_severity ?? definition.severity ?? null;
  const shown = { name, severity, enabled, fires_when: firesWhen(definition) };
  const result = { ...gone, gone: false, name, revision, rule: shown };

  for (let i = 0; versions[i] !== current; ) {
    const next = successorOf(versions, i);
    const settled = await settle(judging, versions[i]!, next);
    await signalIncidents(settled.incidents);
    await signalRules(settled.rules);
    // Somebody else settled it. What comes next was read before that, too.
    if (settled.stale) return { ...result, more: true };
    await forgetRegrouped(orm, ruleId);
    // `settle` also closed the revisions between the two: they were never in force.
    i = next ? versions.indexOf(next) : versions.length - 1;
  }
  if (current.enabled && !current.ready) return { ...result, backfill: current.revision, more: true };
  for (const version of rule.versions.filter(({ handed_over }) => handed_over)) {
    await signalIncidents(await judgeLeft(judging, version));
  }
  const forgotten = () => forgetInTime(orm, ruleId, started + LONGEST_MS);
  if (words.deleted) {
    if (!(await forgotten())) return { ...result, more: true };
    if (await removeDeleted(orm, ruleId)) return gone;
    // The sweep wakes the rule when such a group is to be tried again.
    return { ...result, more: !(await hasLeftGroups(sqlOf(orm), ruleId)) };
  }
  let more = false;
  if (current.enabled) {
    do {
      const pass = await judgePending(judging, current);
      await signalIncidents(pass.incidents);
      if (pass.stale) return { ...result, more: true };
      more = pass.judged > 0;
    } while (more && performance.now() - started < LONGEST_MS);
  }
  // The counts are deleted last: there may be millions, and judging must not wait for that.
  if (!more) more = !(await forgotten());
  return { ...result, ...(await standingCounts(sqlOf(orm), ruleId)), more };
}

/**
 * Removes what settled revisions counted. False when there was no time for all of it. `until`: by
 * `performance.now()`.
 */
async function forgetInTime(orm: Orm, ruleId: string, until: number): Promise<boolean> {
  const outOfTime = Symbol('out of time');
  try {
    await forgetSettled(orm, ruleId, () => {
      if (performance.now() > until) throw outOfTime;
    });
    return true;
  } catch (error) {
    if (error !== outOfTime) throw error;
    return false;
  }
}
