import { v5 as uuidv5 } from 'uuid';
import type { NoticeKind } from './notice.ts';

/**
 * The namespace of these ids (UUIDv5). It must never change, because it prevents an incident from opening
 * twice.
 */
const NAMESPACE = '5f0c1c51-7c1b-4a55-9d0e-6f6a4c1c9a61';

export const incidentId = (ruleId: string, groupKey: string, episode: number) =>
  uuidv5(`${ruleId}/${groupKey}/${episode}`, NAMESPACE);

/**
 * The id of a notice. `n` distinguishes notices of one kind: how many times the incident was reopened or
 * corrected before.
 */
export const noticeId = (incident: string, kind: NoticeKind, n: number) =>
  uuidv5(`${incident}/${kind}/${n}`, NAMESPACE);

/** The id of the notice about a person's request. */
export const requestedNoticeId = (incident: string, kind: NoticeKind, request: string) =>
  uuidv5(`${kind}/${request}`, incident);
