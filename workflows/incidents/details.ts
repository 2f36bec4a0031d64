import type { IncidentView } from '../../activities/incidents/index.ts';
import { codeSpan } from '../../domain/temporal-ui/text.ts';
import type { Delivery, LastAttempt } from './deliveries.ts';

/** How many deliveries are listed. */
const MOST_LISTED = 20;

/** Describes an incident for the Temporal Web UI, in Markdown. */
export function incidentDetails(
  view: IncidentView | null,
  outstanding: readonly Delivery[],
  last: LastAttempt | null,
): string[] {
  if (!view) return ['This incident is no longer on record.'];
  const { state, since, acknowledged_by, resolved_at, resolved_by, resolve_reason } = view.outline;
  const by = resolved_by === null ? 'the rule' : codeSpan(resolved_by);
  const words = [
    `**${state}**, since ${since}`,
    ...(acknowledged_by ? [`acknowledged by ${codeSpan(acknowledged_by)}`] : []),
    ...(resolved_at
      ? [`resolved ${resolved_at} by ${by}${resolve_reason ? `: ${codeSpan(resolve_reason)}` : ''}`]
      : []),
  ];
  const more = outstanding.length - MOST_LISTED;
  const lines = [
    ...(view.channels.length === 0 ? ['- No channel is configured: nobody is notified.'] : []),
    ...(last ? [`- Last delivery: ${lastLine(last)}`] : []),
    ...outstanding.slice(0, MOST_LISTED).map(waitingLine),
    ...(more > 0 ? [`- and ${more} more deliveries`] : []),
  ];
  return [words.join('; '), waitsFor(view, outstanding), ...(lines.length > 0 ? [lines.join('\n')] : [])];
}

function waitsFor({ outline: { state } }: IncidentView, outstanding: readonly Delivery[]): string {
  if (state === 'resolved') {
    return outstanding.length === 0
      ? 'The incident is over, and nothing is left to do.'
      : 'Waits until its last notices are delivered.';
  }
  const notices = outstanding.length === 0 ? 'No notice is on its way.' : 'Notices are on their way.';
  const person = state === 'open' ? 'somebody acknowledges or resolves it' : 'somebody resolves it';
  return `${notices} Waits until ${person}, or the rule does.`;
}

function lastLine({ kind, channel, attempt, outcome, detail, at }: LastAttempt): string {
  const said = detail === '' ? '' : `: ${codeSpan(detail, 300)}`;
  return `notice "${kind}" through ${codeSpan(channel)}, attempt ${attempt}, ${outcome} at ${new Date(at).toISOString()}${said}`;
}

function waitingLine({ kind, channel, attempt, next_at, stage }: Delivery): string {
  const when =
    stage === 'sending'
      ? 'is being sent'
      : next_at === 0
        ? 'is next'
        : `comes at ${new Date(next_at).toISOString()}`;
  return `- Notice "${kind}" through ${codeSpan(channel)}: attempt ${attempt} ${when}`;
}
