/** What is particular to a protocol that receives alerts. */
interface Protocol {
  /** The id of its built-in rule, the same in every installation. A migration inserts the rule. */
  rule: string;
  /** What distinguishes an alert from others of the protocol, in a form for people. */
  keyLabels: (key: string) => Record<string, string>;
  /** Whether senders repeat an alert while it is active, so that silence ends it. */
  repeats: boolean;
  /**
   * Whether a resolve says when the alert ended. If not, it gets the clock of the process that received it,
   * which may be behind that of the process that received the trigger.
   */
  datesResolves: boolean;
  /**
   * Whether a person who resolves an incident ends its alerts. So it is where many senders trigger and never
   * resolve: their next trigger must open an incident.
   */
  endedByPeople: boolean;
}

/** Every protocol that receives alerts. */
export const PROTOCOLS = {
  alertmanager: {
    rule: '7c0a1e55-0000-4000-8000-000000000001',
    keyLabels: (key) => ({ fingerprint: key }),
    repeats: true,
    datesResolves: true,
    endedByPeople: false,
  },
  pagerduty: {
    rule: '7c0a1e55-0000-4000-8000-000000000002',
    keyLabels: (key) => ({ dedup_key: key.slice(key.indexOf('/') + 1) }),
    repeats: false,
    datesResolves: false,
    endedByPeople: true,
  },
} satisfies Record<string, Protocol>;

export type ReceivingProtocol = keyof typeof PROTOCOLS;

export const RECEIVING_PROTOCOLS = Object.keys(PROTOCOLS) as [ReceivingProtocol, ...ReceivingProtocol[]];

/** The id of each protocol's built-in rule. */
export const RECEIVING_RULES = Object.fromEntries(
  Object.entries(PROTOCOLS).map(([name, { rule }]) => [name, rule]),
) as Readonly<Record<ReceivingProtocol, string>>;

/** The ids of the built-in rules whose protocols have the property. */
export function receivingRulesThat(property: 'repeats' | 'endedByPeople'): string[] {
  return Object.values(PROTOCOLS)
    .filter((protocol) => protocol[property])
    .map(({ rule }) => rule);
}
