import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { loadRule } from '../../db/queries/rules/judging.ts';
import type { Installation } from '../../domain/temporal-ui/about.ts';
import { incidentSignals } from '../../temporal-config/signals/incidents.ts';
import { ruleSignals } from '../../temporal-config/signals/rules.ts';
import { withProgress } from '../progress.ts';
import { type Evaluated, evaluate } from './evaluate.ts';
import { sourceOf } from './readings.ts';

/** Makes the activities of rule workflows. Each may be repeated. */
export function createRuleActivities({
  orm,
  client,
  clock,
  log,
  installation,
}: {
  orm: Orm;
  client: Client;
  clock: () => number;
  log: Logger;
  /** Facts about the installation, which workflows show but cannot know. */
  installation: () => Promise<Installation>;
}) {
  return {
    /**
     * Judges the rule's pending groups, for a few seconds at most. The answer says what the workflow must
     * show, unless it shows that already (`shown`): the history keeps every answer, so it should be small.
     */
    async evaluateRule({ rule_id, shown }: { rule_id: string; shown?: string }): Promise<Evaluated> {
      const { rule, ...result } = await evaluate(
        {
          orm,
          clock,
          log,
          signalIncidents: (ids) => incidentSignals({ orm, client }, log).add(ids),
          signalRules: (ids) => ruleSignals({ orm, client }, log).add(ids),
        },
        rule_id,
      );
      const about = rule && { rule, installation: await installation() };
      const mark = createHash('sha256')
        .update(JSON.stringify(about ?? null))
        .digest('base64url')
        .slice(0, 8);
      return { ...result, ...(about && mark !== shown ? { about: { ...about, mark } } : {}) };
    },

    /** Runs the backfill of a new revision. It takes minutes for a long window over many events. */
    async backfillRule({ rule_id, revision }: { rule_id: string; revision: number }): Promise<void> {
      const rule = await loadRule(sqlOf(orm), rule_id);
      const version = rule?.versions.find((candidate) => candidate.revision === revision);
      if (!version || version.ready) return;
      await withProgress((progress) => sourceOf(version).makeReady(orm, version, { progress }));
    },
  };
}

export type RuleActivities = ReturnType<typeof createRuleActivities>;
