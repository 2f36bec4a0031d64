/** Every workflow, by the name it is started with: this is what the bundle is made of. */

export { deadLetter } from './dead-letters/dead-letter.ts';
export { housekeeping } from './housekeeping.ts';
export { incident } from './incidents/incident.ts';
export { producer } from './producers/producer.ts';
export { alertRule } from './rules/alert-rule.ts';
