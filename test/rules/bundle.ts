/** The workflows of this folder's tests alone: the whole product's take longer to bundle. */
export { alertRule } from '../../workflows/alert-rule.ts';
export { housekeeping } from '../../workflows/housekeeping.ts';
