import type { IncidentOutline } from '../incidents/facts.ts';
import { type ProducerSettings, redactedUrl } from '../producers/producer.ts';
import { kindOf } from '../rules/kinds/index.ts';
import type { RuleDefinition } from '../rules/rule.ts';
import { codeSpan, plainLine } from './text.ts';

/**
 * Search attributes, by which people filter workflows. They are registered from
 * temporal-config/search-attributes.json.
 */
export const ATTRIBUTES = ['SourceId', 'RuleId', 'RuleName', 'IncidentState', 'Severity', 'State'] as const;
export type AttributeName = (typeof ATTRIBUTES)[number];

/**
 * What the Temporal Web UI shows about a workflow. Whoever starts the workflow sets it, and the workflow
 * keeps it up to date.
 */
export interface About {
  /** One line of Markdown, well below the 400 bytes that Temporal takes. */
  title: string;
  /** What the workflow does. */
  purpose: string;
  /** Path of the corresponding object in the API. */
  path: string;
  memo: Record<string, string>;
  /** The search attributes. Null removes one. */
  attributes: Partial<Record<AttributeName, string | null>>;
}

/**
 * What the Web UI needs to know about the installation. Workflow code cannot know it, so activities return
 * it.
 */
export interface Installation {
  /** Address of the API. */
  api: string;
  /** The search attributes that the namespace has. Setting another one would block the workflow. */
  attributes: readonly string[];
}

/** What a rule's workflow shows of its rule. */
export interface ShownRule {
  name: string;
  /** Severity of its incidents; null if it comes from the events. */
  severity: string | null;
  enabled: boolean;
}

export type RuleStanding = 'disabled' | 'quiet' | 'pending' | 'firing';

export function standingOf(
  enabled: boolean,
  { firing, pending }: { firing: number; pending: number },
): RuleStanding {
  if (!enabled) return 'disabled';
  return firing > 0 ? 'firing' : pending > 0 ? 'pending' : 'quiet';
}

export function aboutRule(id: string, { name, severity, enabled }: ShownRule, state?: RuleStanding): About {
  const standing = state ?? standingOf(enabled, { firing: 0, pending: 0 });
  return {
    title: `Rule ${codeSpan(name)}${severity === null ? '' : `, ${codeSpan(severity, 40)}`}`,
    purpose: 'Judges the windows of the rule, and opens and resolves its incidents.',
    path: `/alerts/${id}`,
    memo: {
      rule: plainLine(name),
      severity: severity === null ? 'as its events' : plainLine(severity, 40),
      state: standing,
    },
    attributes: {
      ...{ RuleId: id, RuleName: plainLine(name), State: standing },
      Severity: severity === null ? null : plainLine(severity, 40),
    },
  };
}

/** When a rule fires, in Markdown. */
export function firesWhen({ condition, ...settings }: RuleDefinition): string {
  return kindOf(condition).firesWhen(condition, settings);
}

export type ShownIncident = Pick<IncidentOutline, 'rule_id' | 'rule_name' | 'severity' | 'state' | 'summary'>;

export function aboutIncident(
  id: string,
  { rule_id, rule_name, severity, state, summary }: ShownIncident,
): About {
  return {
    title: `Incident of rule ${codeSpan(rule_name, 120)}, ${codeSpan(severity, 40)}: ${codeSpan(summary, 160)}`,
    purpose: 'Notifies people of the incident, and carries out what they do with it.',
    path: `/incidents/${id}`,
    memo: {
      ...{ rule: plainLine(rule_name), severity: plainLine(severity, 40), state },
      summary: plainLine(summary, 300),
    },
    attributes: {
      ...{ RuleId: rule_id, RuleName: plainLine(rule_name), Severity: plainLine(severity, 40) },
      ...{ State: state, IncidentState: state },
    },
  };
}

export function aboutProducer(sourceId: string, settings: ProducerSettings, state: string): About {
  const check = settings.kind === 'http-check' ? plainLine(redactedUrl(settings.url), 160) : null;
  return {
    title: `Producer ${codeSpan(sourceId)}${check === null ? ', simulated' : `, checks ${codeSpan(check, 160)}`}`,
    purpose: 'Makes the events of the source.',
    path: `/producers/${encodeURIComponent(sourceId.toWellFormed())}`,
    memo: { source: plainLine(sourceId), state, ...(check === null ? {} : { checks: check }) },
    attributes: { SourceId: plainLine(sourceId), State: state },
  };
}

export type DeadLetterStanding = 'holding' | 'retrying' | 'settled';

export function aboutDeadLetters(sourceId: string, state: DeadLetterStanding): About {
  return {
    title: `Dead letters of source ${codeSpan(sourceId)}`,
    purpose: 'Keeps what could not be stored, retries it, and redrives or discards it when told.',
    path: `/dead-letters?source_id=${encodeURIComponent(sourceId.toWellFormed())}`,
    memo: { source: plainLine(sourceId), state },
    attributes: { SourceId: plainLine(sourceId), State: state },
  };
}

export const ABOUT_HOUSEKEEPING: About = {
  title: 'Housekeeping',
  purpose:
    'Makes partitions, drops what is past its retention, and starts workflows that should run. The only one of its kind.',
  path: '/status',
  memo: {},
  attributes: {},
};

/** The URL of a path in the API, without user, password and query. */
export function linkTo(api: string, path: string): string {
  const { origin, pathname } = new URL(api);
  // The look-behind keeps the time linear, because a match can begin only at the first of several slashes.
  return `${origin}${pathname.replace(/(?<!\/)\/+$/, '')}${path}`;
}

/** A Markdown link to the API. */
export const openLink = (url: string) => `[Open in the API](<${url}>)`;

/** The entries of `wanted` that differ from the current ones. */
export function differing<T>(
  wanted: Readonly<Record<string, T | null>>,
  set: (name: string) => T | undefined,
): Record<string, T | null> {
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => (set(name) ?? null) !== value));
}
