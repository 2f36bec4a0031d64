import type { SearchAttributePair } from '@temporalio/common';
import { withoutSecrets } from '../domain/producers/producer.ts';
import {
  ABOUT_HOUSEKEEPING,
  type About,
  aboutDeadLetters,
  aboutIncident,
  aboutProducer,
  aboutRule,
  type ShownIncident,
  type ShownRule,
} from '../domain/temporal-ui/about.ts';
import {
  deadLetterWorkflowId,
  HOUSEKEEPING_WORKFLOW_ID,
  incidentWorkflowId,
  producerWorkflowId,
  ruleWorkflowId,
} from './ids.ts';
import type { DeadLetterInput, DeadLetterRetries, ProducerInput } from './messages.ts';
import { QUEUES } from './queues.ts';
import { keyOf } from './search-attributes.ts';

/** How to start a workflow. */
export interface Startable {
  /** The name of the workflow in index.ts. */
  type: string;
  workflowId: string;
  taskQueue: string;
  args: unknown[];
  /**
   * The Temporal Web UI shows the static summary and details only for the first run, not after
   * continue-as-new.
   */
  staticSummary: string;
  staticDetails: string;
  /**
   * `api` is a path. The process that starts the workflow turns it into a URL (temporal-config/starts.ts).
   */
  memo: Record<string, string>;
  typedSearchAttributes: SearchAttributePair[];
}

/** The workflow that judges a rule. If the rule has no row, it ends at once. */
export const ruleWorkflow = (ruleId: string, rule: ShownRule | null): Startable => ({
  type: 'alertRule',
  workflowId: ruleWorkflowId(ruleId),
  taskQueue: QUEUES.rules,
  args: [{ rule_id: ruleId }],
  ...shown(aboutRule(ruleId, rule ?? { name: 'deleted rule', severity: null, enabled: false })),
});

/** The workflow that delivers an incident's notices and executes what people do with the incident. */
export const incidentWorkflow = (incidentId: string, incident: ShownIncident): Startable => ({
  type: 'incident',
  workflowId: incidentWorkflowId(incidentId),
  taskQueue: QUEUES.incidents,
  args: [{ incident_id: incidentId }],
  ...shown(aboutIncident(incidentId, incident)),
});

/** The workflow that emits the events of a producer. */
export const producerWorkflow = (input: ProducerInput): Startable => ({
  type: 'producer',
  workflowId: producerWorkflowId(input.source_id),
  taskQueue: QUEUES.producers,
  args: [{ ...input, settings: withoutSecrets(input.settings) }],
  ...shown(aboutProducer(input.source_id, input.settings, input.paused ? 'paused' : 'running')),
});

/** The workflow that handles the dead letters of a source. `retrying`: stored letters that it must retry. */
export const deadLetterWorkflow = (sourceId: string, retrying: DeadLetterRetries = []): Startable => ({
  type: 'deadLetter',
  workflowId: deadLetterWorkflowId(sourceId),
  taskQueue: QUEUES.producers,
  args: [
    {
      source_id: sourceId,
      ...(retrying.length > 0 ? { resume: { unrecorded: [], retrying } } : {}),
    } satisfies DeadLetterInput,
  ],
  ...shown(aboutDeadLetters(sourceId, retrying.length > 0 ? 'retrying' : 'holding')),
});

/** The housekeeping workflow, of which there is only one. */
export const HOUSEKEEPING: Startable = {
  type: 'housekeeping',
  workflowId: HOUSEKEEPING_WORKFLOW_ID,
  taskQueue: QUEUES.rules,
  args: [],
  ...shown(ABOUT_HOUSEKEEPING),
};

function shown({ title, purpose, path, memo, attributes }: About) {
  return {
    staticSummary: title,
    staticDetails: purpose,
    memo: { ...memo, api: path },
    typedSearchAttributes: Object.entries(attributes).flatMap(([name, value]) =>
      value === null ? [] : [{ key: keyOf(name), value }],
    ),
  };
}
