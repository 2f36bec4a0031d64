/** All workflows, by the names under which they are started. The bundle is built from this file. */

export { deadLetter } from './dead-letters/dead-letter.ts';
export { housekeeping } from './housekeeping.ts';
export { incident } from './incidents/incident.ts';
export { producer } from './producers/producer.ts';
export { alertRule } from './rules/alert-rule.ts';
