import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { loadRule } from '../../db/queries/judging.ts';
import { signalRules } from '../../ingest/signal-rule.ts';
import { withProgress } from '../progress.ts';
import { signalIncidents } from '../signal-incidents.ts';
import { backfill } from './backfill.ts';
import { type Evaluated, evaluate } from './evaluate.ts';

/** What a rule's workflow does outside of itself. Every step can be repeated. */
export function createRuleActivities({
  orm,
  client,
  clock,
  log,
}: {
  orm: Orm;
  client: Client;
  clock: () => number;
  log: Logger;
}) {
  return {
    /** Judges what is pending for the rule, for a few seconds at the most. */
    async evaluateRule({ rule_id }: { rule_id: string }): Promise<Evaluated> {
      return evaluate(
        {
          orm,
          clock,
          log,
          signalIncidents: (ids) => signalIncidents(client, ids, log),
          signalRules: (ids) => signalRules(client, ids, log),
        },
        rule_id,
      );
    },

    /** Counts what was in a new revision's window. Minutes, for a long window over many events. */
    async backfillRule({ rule_id, revision }: { rule_id: string; revision: number }): Promise<void> {
      const rule = await loadRule(sqlOf(orm), rule_id);
      const version = rule?.versions.find((candidate) => candidate.revision === revision);
      if (!version || version.ready) return;
      await withProgress((progress) => backfill(orm, version, { progress }));
    },
  };
}

export type RuleActivities = ReturnType<typeof createRuleActivities>;
