import { type Orm, sqlOf } from '../../db/orm.ts';
import { forgetSettled } from '../../db/queries/rules/counts-kept.ts';
import { forgetRegrouped } from '../../db/queries/rules/forget-groups.ts';
import { loadRule } from '../../db/queries/rules/judging.ts';
import { hasLeftGroups, standingCounts } from '../../db/queries/rules/revisions.ts';
import { firesWhen, type Installation, type ShownRule } from '../../domain/temporal-ui/about.ts';
import { type JudgeDeps, judgePending } from './judge.ts';
import { judgeLeft, removeDeleted, settle, successorOf } from './settle.ts';

/** How long one call may work, in milliseconds. The next call continues. */
const LONGEST_MS = 2000;

export interface Evaluated {
  /** True if the rule was removed, so that its workflow ends. */
  gone: boolean;
  /** A revision that needs its backfill before anything can be judged. */
  backfill: number | null;
  /** True if there is more to judge. */
  more: boolean;
  name: string;
  revision: number;
  firing: number;
  pending: number;
  /**
   * What the workflow shows of the rule. Absent if the workflow shows it already, and in histories of 0.1.0.
   */
  about?: { rule: ShownRule & { fires_when: string }; installation: Installation; mark: string };
}

export interface EvaluateDeps extends JudgeDeps {
  /** Signals workflows to read their rows. Neither function may throw; the sweep repeats what fails. */
  signalIncidents: (ids: readonly string[]) => Promise<void>;
  signalRules: (ids: readonly string[]) => Promise<void>;
}

/**
 * Does everything that is due for a rule: it settles superseded revisions, oldest first, then judges the
 * pending groups of the one in force. All results are stored when it returns. If it is interrupted, the
 * remaining rows say what is left to do.
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
    // Another process settled the revision. What was read about the next one is out of date too.
    if (settled.stale) return { ...result, more: true };
    await forgetRegrouped(orm, ruleId);
    // `settle` also closed the revisions in between, which were never in force.
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
    // The sweep wakes the rule when such a group must be tried again.
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
  // Counts are deleted last: there may be millions, and judging must not wait.
  if (!more) more = !(await forgotten());
  return { ...result, ...(await standingCounts(sqlOf(orm), ruleId)), more };
}

/**
 * Deletes the counts of settled revisions. Returns false if there was not enough time. `until`: by
 * `performance.now()`.
 */
async function forgetInTime(orm: Orm, ruleId: string, until: number): Promise<boolean> {
  try {
    await forgetSettled(orm, ruleId, () => {
      if (performance.now() > until) throw new OutOfTime();
    });
    return true;
  } catch (error) {
    if (error instanceof OutOfTime) return false;
    throw error;
  }
}

/** Thrown by `progress` to interrupt work when its time is over. The next call continues it. */
class OutOfTime extends Error {
  override name = 'OutOfTime';
}
