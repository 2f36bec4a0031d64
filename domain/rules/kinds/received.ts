import { z } from 'zod';
import { RECEIVING_PROTOCOLS, type ReceivingProtocol } from '../../received-alerts/protocols.ts';
import { atLeast } from '../series.ts';
import type { RuleKind } from './kind.ts';

/**
 * The condition holds while an alert that another system sent by this protocol is active. Each alert is a
 * group.
 */
export interface ReceivedCondition {
  kind: 'received';
  protocol: ReceivingProtocol;
}

export const received = {
  kind: 'received',
  schema: z.object({ kind: z.literal('received'), protocol: z.enum(RECEIVING_PROTOCOLS) }).meta({
    id: 'ReceivedCondition',
    description:
      'Holds while an alert that was received by this protocol is active. Only built-in rules have this condition. They show 1 for `threshold_count` and `window_seconds`, and can be disabled but not deleted.',
  }),
  builtIn: true,
  reads: 'received alerts',
  moreEvents: 'up',
  // One alert is enough, and a rule without a window shows the shortest one.
  shortForm: () => ({ threshold_count: 1, window_seconds: 1 }),
  conditionFrom: () => ({
    flaw: { field: 'condition.kind', reason: 'must be count: rules for received alerts are built in' },
  }),
  windowMs: () => 0,
  tests: () => ({ opens: atLeast(1), keeps: atLeast(1) }),
  flaws: () => [],
  firesWhen: ({ protocol }) => `an alert received by ${protocol} is active`,
} satisfies RuleKind<ReceivedCondition>;
