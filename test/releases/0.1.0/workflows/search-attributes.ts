import { defineSearchAttributeKey } from '@temporalio/common';

/** What the Temporal Web UI can filter workflows by. Registered in temporal-config/search-attributes.json. */
export const SOURCE_ID = defineSearchAttributeKey('SourceId', 'KEYWORD');
export const RULE_ID = defineSearchAttributeKey('RuleId', 'KEYWORD');
export const INCIDENT_STATE = defineSearchAttributeKey('IncidentState', 'KEYWORD');
export const SEVERITY = defineSearchAttributeKey('Severity', 'KEYWORD');
