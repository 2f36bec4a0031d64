import assert from 'node:assert/strict';
import { NOTICE_KINDS, type NoticeDocument } from '../../../domain/incidents/notice.ts';
import { noticeLines, subjectOf, textOf } from '../../../domain/incidents/notice-text.ts';
import { sampleNotice } from '../../incidents/channels/notice.ts';

const corrected = (kind: NoticeDocument['kind'], changes: Partial<NoticeDocument['incident']> = {}) => {
  const notice = sampleNotice(kind);
  return { ...notice, incident: { ...notice.incident, ...changes } };
};

describe('the text of a notice', () => {
  it('begins with what happened, for every kind of notice', () => {
    assert.deepEqual(
      NOTICE_KINDS.map((kind) => subjectOf(sampleNotice(kind)).split(':')[0]),
      ['Opened', 'Shortened', 'Split', 'Reopened', 'Resolved', 'Withdrawn'],
    );
  });

  it('says of a correction that late events caused it, and what holds now', () => {
    const ended_at = '2026-03-01T10:03:00.000Z';
    const lines = Object.fromEntries(noticeLines(corrected('shortened', { state: 'resolved', ended_at })));
    assert.match(lines.Correction!, /corrected by late events: it was shorter/);
    assert.equal(lines.Until, ended_at);
    assert.match(
      textOf(corrected('split')),
      /Correction: corrected by late events: it was several incidents/,
    );
  });

  it('says of a withdrawal that the rule did not fire', () => {
    const [resolved_at, resolve_reason] = ['2026-03-01T10:05:00.000Z', 'withdrawn' as const];
    const withdrawn = corrected('withdrawn', { state: 'resolved', resolved_at, resolve_reason });
    const lines = Object.fromEntries(noticeLines(withdrawn));
    assert.match(lines.Correction!, /the rule did not fire/);
    assert.equal(lines.Resolved, '2026-03-01T10:05:00.000Z, withdrawn');
    assert.equal(lines.Until, undefined);
  });

  it('speaks of no correction where there is none', () => {
    for (const kind of ['opened', 'reopened', 'resolved'] as const)
      assert.ok(noticeLines(sampleNotice(kind)).every(([name]) => name !== 'Correction' && name !== 'Until'));
  });
});
