import { z } from 'zod';
import type { AlertRule } from '../../../db/entities/rule.ts';
import { createRule, deleteRule, updateRule } from '../../../db/queries/rules/changes.ts';
import { findRule, listRules, type RuleProgress, ruleProgress } from '../../../db/queries/rules/reads.ts';
import { kindOf } from '../../../domain/rules/kinds/index.ts';
import { shortFormOf } from '../../../domain/rules/rule.ts';
import type { ApiDeps } from '../../deps.ts';
import { jsonBody } from '../../http/body/json.ts';
import { idParams } from '../../http/parameters.ts';
import { Conflict, NotFound } from '../../http/problem.ts';
import { type Route, route } from '../../http/route.ts';
import { tellRule } from '../../temporal.ts';
import { newRule, rulePatchOf } from './input.ts';
import { changedRuleOut, ruleIn, ruleOut, rulePatch } from './schema.ts';

/** Fields that a request body may contain without effect, so that clients can send back a rule they read. */
const SHOWN = Object.keys(changedRuleOut.shape);

/**
 * Routes of alert rules. They change the row of a rule, then signal its workflow. If the signal fails, the
 * sweep repeats it.
 */
export function ruleRoutes(deps: ApiDeps): Route[] {
  const { orm, clock, settings } = deps;
  const show = async (rule: AlertRule) => showRule(rule, (await ruleProgress(orm, [rule.id])).get(rule.id));
  return [
    route({
      method: 'post',
      path: '/alerts',
      role: 'operate',
      tags: ['alerts'],
      summary: 'Create a rule',
      description:
        'Give either `threshold_count` and `window_seconds`, or `condition`. Tocsin first counts the events that are already stored. When that is done, `ready` is true and the rule is evaluated.',
      body: jsonBody(ruleIn, { ignored: SHOWN }),
      responses: { 201: { description: 'Created', schema: ruleOut } },
      async handle({ body }) {
        const rule = await createRule(orm, newRule(body, settings.retentionMs), clock());
        await tellRule(deps, rule.id);
        return { status: 201, body: await show(rule), headers: { Location: `/alerts/${rule.id}` } };
      },
    }),
    route({
      method: 'get',
      path: '/alerts',
      role: 'read',
      tags: ['alerts'],
      summary: 'List rules',
      responses: { 200: { description: 'All rules, newest first', schema: z.array(ruleOut) } },
      async handle() {
        const rules = await listRules(orm);
        const progress = await ruleProgress(
          orm,
          rules.map(({ id }) => id),
        );
        return { status: 200, body: rules.map((rule) => showRule(rule, progress.get(rule.id))) };
      },
    }),
    route({
      method: 'get',
      path: '/alerts/{id}',
      role: 'read',
      tags: ['alerts'],
      summary: 'One rule',
      params: idParams,
      responses: { 200: { description: 'The rule', schema: ruleOut } },
      problems: [404],
      async handle({ params }) {
        const rule = await findRule(orm, params.id);
        if (!rule) throw new NotFound('Rule');
        return { status: 200, body: await show(rule) };
      },
    }),
    route({
      method: 'put',
      path: '/alerts/{id}',
      role: 'operate',
      tags: ['alerts'],
      summary: 'Change a rule',
      description:
        'The change is in force when this answer arrives. `open_incidents` says what happens to the incidents that are open.',
      params: idParams,
      body: jsonBody(rulePatch, { ignored: SHOWN }),
      responses: { 200: { description: 'The rule as it is now', schema: changedRuleOut } },
      problems: [404],
      async handle({ params, body }) {
        const changed = await updateRule(
          orm,
          params.id,
          ({ definition }) => rulePatchOf(body, definition, settings.retentionMs),
          clock(),
        );
        if (!changed) throw new NotFound('Rule');
        await tellRule(deps, params.id);
        const { rule, open_incidents } = changed;
        return { status: 200, body: { ...(await show(rule)), open_incidents } };
      },
    }),
    route({
      method: 'delete',
      path: '/alerts/{id}',
      role: 'operate',
      tags: ['alerts'],
      summary: 'Delete a rule',
      description:
        'Tocsin stops evaluating the rule. The response header `X-Open-Incidents` says what Tocsin does with its open incidents.',
      params: idParams,
      responses: {
        204: {
          description: 'Deleted. Its incidents are kept.',
          headers: {
            'X-Open-Incidents': { description: 'How many incidents were open, and what happens to them' },
          },
        },
      },
      problems: [404, 409],
      async handle({ params }) {
        const rule = await findRule(orm, params.id);
        if (rule && kindOf(rule.definition.condition).builtIn) {
          throw new Conflict('the rule is built in: it can be disabled but not deleted');
        }
        const deleted = await deleteRule(orm, params.id, clock());
        if (!deleted) throw new NotFound('Rule');
        await tellRule(deps, params.id);
        const { count, outcome } = deleted.open_incidents;
        return { status: 204, headers: { 'X-Open-Incidents': `${count}; ${outcome}` } };
      },
    }),
  ];
}

function showRule(rule: AlertRule, progress: RuleProgress | undefined): z.output<typeof ruleOut> {
  const { condition, ...definition } = rule.definition;
  return {
    id: rule.id,
    name: rule.name,
    enabled: rule.enabled,
    ...definition,
    ...shortFormOf(rule.definition),
    condition,
    late: rule.late,
    incident_severity: rule.incidentSeverity ?? null,
    labels: rule.labels,
    annotations: rule.annotations,
    sample: rule.sample,
    created_at: rule.createdAt.toISOString(),
    updated_at: rule.updatedAt.toISOString(),
    revision: rule.revision,
    ready: progress?.ready ?? false,
    group_overflow: progress?.overflow ?? 0,
  };
}
