import type { Refusal } from '../../../api/intake/rejections/rejections.ts';

/** A refusal of one item. A test sets only the fields that matter to it. */
export const refusal = (changes: Partial<Refusal> = {}): Refusal => ({
  ...{ key: 'one', key_name: 'one', route: '/events', kind: 'event', status: 422 },
  ...{ reason: 'invalid', field: '', detail: 'nonsense', item: {} },
  ...changes,
});
