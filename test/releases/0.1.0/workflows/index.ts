/** Every workflow, by the name it is started with: this is what the bundle is made of. */
export { alertRule } from './alert-rule.ts';
export { deadLetter } from './dead-letter.ts';
export { housekeeping } from './housekeeping.ts';
export { incident } from './incident.ts';
export { producer } from './producer.ts';
