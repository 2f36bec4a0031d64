import { v5 as uuidv5 } from 'uuid';
import type { NoticeKind } from './notice.ts';

/**
 * Namespace of the ids derived here (UUIDv5). Never changes: it is what keeps an incident from opening twice.
 */
const NAMESPACE = '5f0c1c51-7c1b-4a55-9d0e-6f6a4c1c9a61';

export const incidentId = (ruleId: string, groupKey: string, episode: number) =>
  uuidv5(`${ruleId}/${groupKey}/${episode}`, NAMESPACE);

/** `n` tells apart notices of one kind: how often the incident was reopened, or corrected, before. */
export const noticeId = (incident: string, kind: NoticeKind, n: number) =>
  uuidv5(`${incident}/${kind}/${n}`, NAMESPACE);

/** Of the notice that tells of what a person asked for. */
export const requestedNoticeId = (incident: string, kind: NoticeKind, request: string) =>
  uuidv5(`${kind}/${request}`, incident);
