/** Only the workflows that these tests use, because bundling all of them takes longer. */

export { housekeeping } from '../../workflows/housekeeping.ts';
export { alertRule } from '../../workflows/rules/alert-rule.ts';
