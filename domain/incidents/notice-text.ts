import type { NoticeDocument, NoticeKind } from './notice.ts';

const WORDS: Record<NoticeKind, string> = {
  ...{ opened: 'Opened', reopened: 'Reopened', resolved: 'Resolved' },
  ...{ shortened: 'Shortened', split: 'Split', withdrawn: 'Withdrawn' },
};

/** What late events showed, for notices that take something back. */
const CORRECTIONS: Partial<Record<NoticeKind, string>> = {
  shortened: 'corrected by late events: it was shorter than was said before',
  split: 'corrected by late events: it was several incidents, of which this is one',
  withdrawn: 'corrected by late events: the rule did not fire, and nothing remains to be done',
};

/** A subject or heading in one line, at most `limit` characters, without control characters. */
export function subjectOf({ kind, incident }: NoticeDocument, limit = 150): string {
  const late = incident.late ? ' (late)' : '';
  return cut(`${WORDS[kind]}${late}: [${incident.severity}] ${incident.rule_name}`, limit);
}

/** The lines of a notice: the name and value of each fact about the incident, in order. */
export function noticeLines({ kind, incident }: NoticeDocument): [name: string, value: string][] {
  const facts: [string, string | null][] = [
    ['Summary', incident.summary],
    ['Severity', incident.severity],
    ['State', incident.state],
    ['Correction', CORRECTIONS[kind] ?? null],
    ['Since', incident.since],
    ['Until', kind in CORRECTIONS && kind !== 'withdrawn' ? incident.ended_at : null],
    ['Acknowledged by', incident.acknowledged_by],
    ['Resolved', kind === 'resolved' || incident.state === 'resolved' ? resolutionOf(incident) : null],
    ['Group', pairs(incident.group)],
    ['Labels', pairs(incident.labels)],
    ...Object.entries(incident.annotations),
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== null && fact[1] !== '');
}

/** The whole notice as plain text. */
export function textOf(notice: NoticeDocument): string {
  const lines = noticeLines(notice).map(([name, value]) => `${name}: ${value}`);
  return [subjectOf(notice), '', ...lines, '', notice.links.incident, ''].join('\n');
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * Shortens a text to `limit` UTF-16 units including the ellipsis, in one line that PostgreSQL can store.
 * Visible characters are not split.
 * @param written how a character is written in the receiver's markup, which may be longer
 */
export function cut(text: string, limit: number, written: (character: string) => string = same): string {
  const line = text
    .toWellFormed()
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  let whole = '';
  let withEllipsis = '';
  for (const { segment } of graphemes.segment(line)) {
    whole += written(segment);
    if (whole.length > limit) return `${withEllipsis}…`;
    if (whole.length < limit) withEllipsis = whole;
  }
  return whole;
}

const same = (character: string) => character;

function resolutionOf({
  resolved_at,
  resolved_by,
  resolve_reason,
}: NoticeDocument['incident']): string | null {
  if (resolved_at === null) return null;
  return `${resolved_at}, ${resolve_reason ?? 'recovered'}${resolved_by ? ` by ${resolved_by}` : ''}`;
}

function pairs(record: Record<string, string>): string {
  return Object.entries(record)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
}
