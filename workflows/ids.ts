/** The ids of all workflows are made in this file. */
export const producerWorkflowId = (sourceId: string) => `producer/${sourceId}`;
export const deadLetterWorkflowId = (sourceId: string) => `dead-letter/${sourceId}`;
export const ruleWorkflowId = (ruleId: string) => `rule/${ruleId}`;
export const incidentWorkflowId = (incidentId: string) => `incident/${incidentId}`;
export const HOUSEKEEPING_WORKFLOW_ID = 'housekeeping';
