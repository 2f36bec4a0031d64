import { withoutSecrets } from '../domain/producer.ts';
import {
  deadLetterWorkflowId,
  HOUSEKEEPING_WORKFLOW_ID,
  incidentWorkflowId,
  producerWorkflowId,
  ruleWorkflowId,
} from './ids.ts';
import type { DeadLetterInput, DeadLetterRetries, ProducerInput } from './messages.ts';
import { QUEUES } from './queues.ts';

/** How a workflow is started, whoever needs it to run first. */
export interface Startable {
  /** Its name in index.ts. */
  type: string;
  workflowId: string;
  taskQueue: string;
  args: unknown[];
  /** Shown by the Temporal Web UI. */
  staticSummary: string;
}

/** Judges a rule's windows. */
export const ruleWorkflow = (ruleId: string): Startable => ({
  type: 'alertRule',
  workflowId: ruleWorkflowId(ruleId),
  taskQueue: QUEUES.rules,
  args: [{ rule_id: ruleId }],
  staticSummary: `Judges the windows of rule ${ruleId}`,
});

/** Sees to an incident's notices, and takes what people do about it. */
export const incidentWorkflow = (incidentId: string): Startable => ({
  type: 'incident',
  workflowId: incidentWorkflowId(incidentId),
  taskQueue: QUEUES.incidents,
  args: [{ incident_id: incidentId }],
  staticSummary: `Follows incident ${incidentId} until someone has it`,
});

/** Makes the events of a source. */
export const producerWorkflow = (input: ProducerInput): Startable => ({
  type: 'producer',
  workflowId: producerWorkflowId(input.source_id),
  taskQueue: QUEUES.producers,
  args: [{ ...input, settings: withoutSecrets(input.settings) }],
  staticSummary: `Producer of ${input.source_id}`,
});

/** Keeps a source's dead letters. `retrying`: those on record that it has to retry by itself. */
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
  staticSummary: `Dead letters of ${sourceId}`,
});

/** The only one of its kind. */
export const HOUSEKEEPING: Startable = {
  type: 'housekeeping',
  workflowId: HOUSEKEEPING_WORKFLOW_ID,
  taskQueue: QUEUES.rules,
  args: [],
  staticSummary: 'Partitions, retention, and workflows that should run',
};
