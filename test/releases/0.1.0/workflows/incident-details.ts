import type { IncidentView } from '../activities/incidents.ts';
import type { Delivery } from './deliveries.ts';

/** An incident's story for the Temporal Web UI, in Markdown. */
export function incidentDetails(view: IncidentView | null, outstanding: readonly Delivery[]): string {
  if (!view) return 'This incident is no longer on record.';
  const { severity, rule_name, summary, state, since, acknowledged_by, resolved_at } = view.outline;
  const { resolved_by, resolve_reason } = view.outline;
  const lines = [
    `**${severity}** incident of rule **${rule_name}**: ${summary}`,
    `State: **${state}**, since ${since}`,
    ...(acknowledged_by ? [`Acknowledged by ${acknowledged_by}`] : []),
    ...(resolved_at
      ? [`Resolved ${resolved_at}: ${resolved_by ?? 'the rule'}, ${resolve_reason ?? ''}`]
      : []),
    ...(view.channels.length === 0 ? ['No channel is configured: nobody is notified.'] : []),
    ...(outstanding.length === 0 ? ['No notice is on its way.'] : outstanding.slice(0, 50).map(line)),
  ];
  return lines.join('\n\n');
}

function line({ kind, channel, attempt, next_at, stage }: Delivery): string {
  const when = stage === 'sending' ? 'now' : next_at === 0 ? 'next' : new Date(next_at).toISOString();
  return `- Notice "${kind}" through ${channel}: attempt ${attempt}, ${when}`;
}
