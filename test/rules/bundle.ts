/** The workflows of this folder's tests alone: the whole product's take longer to bundle. */

export { housekeeping } from '../../workflows/housekeeping.ts';
export { alertRule } from '../../workflows/rules/alert-rule.ts';
