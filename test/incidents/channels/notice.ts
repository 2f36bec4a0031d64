import type { NoticeDocument } from '../../../domain/incidents/notice.ts';

/** A notice for channels, with characters that have a meaning in each format. */
export function sampleNotice(kind: NoticeDocument['kind'] = 'opened'): NoticeDocument {
  return {
    id: '6f0d0f4e-91b5-4a52-9d0a-3c2d51d4b8a1',
    kind,
    at: '2026-03-01T10:00:00.000Z',
    incident: {
      id: '0d9f2f39-65a5-4b7a-8a3b-8f2f6f1c2e77',
      rule_id: 'c5b1d2f0-0b1e-4f8e-9d56-2f7d8a4e1b11',
      rule_name: 'CPU <too> high & rising',
      severity: 'critical',
      state: kind === 'resolved' ? 'resolved' : 'open',
      summary: 'Rule triggered for <!channel> cpu_spike',
      late: false,
      since: '2026-03-01T09:59:00.000Z',
      triggered_at: '2026-03-01T10:00:00.000Z',
      opened_at: '2026-03-01T10:00:00.000Z',
      ended_at: null,
      recorded_at: '2026-03-01T10:00:00.100Z',
      acknowledged_at: null,
      acknowledged_by: null,
      resolved_at: kind === 'resolved' ? '2026-03-01T10:05:00.000Z' : null,
      resolved_by: kind === 'resolved' ? 'ada' : null,
      resolve_reason: kind === 'resolved' ? 'manual' : null,
      merged_into: null,
      withdrawn_at: null,
      reopened: 0,
      corrections: 0,
      group: { source_id: 'source-1' },
      labels: { team: 'core' },
      annotations: { runbook: 'https://wiki.test/cpu' },
      metadata: { observed_count: 5, window_seconds: 60 },
    },
    rule: { id: 'c5b1d2f0-0b1e-4f8e-9d56-2f7d8a4e1b11', name: 'CPU <too> high & rising' },
    links: { incident: 'http://tocsin.test/incidents/0d9f2f39-65a5-4b7a-8a3b-8f2f6f1c2e77' },
  };
}
