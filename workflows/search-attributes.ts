import { defineSearchAttributeKey } from '@temporalio/common';
import { ATTRIBUTES, type AttributeName } from '../domain/temporal-ui/about.ts';

/**
 * Search attributes, by which the Temporal Web UI can filter workflows. They are registered from
 * temporal-config/search-attributes.json.
 */
export const keyOf = (name: AttributeName | (string & {})) => defineSearchAttributeKey(name, 'KEYWORD');

/** Set directly only by runs that began before the patch `shown`. */
export const SOURCE_ID = keyOf('SourceId');
export const RULE_ID = keyOf('RuleId');
export const INCIDENT_STATE = keyOf('IncidentState');
export const SEVERITY = keyOf('Severity');

export const isOurs = (name: string) => (ATTRIBUTES as readonly string[]).includes(name);
