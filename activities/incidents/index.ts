import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import type { Logger } from 'pino';
import { isDataError } from '../../db/errors.ts';
import { type Orm, sqlOf, transaction } from '../../db/orm.ts';
import { actOnIncident, type WriteOutcome } from '../../db/queries/incidents/by-person.ts';
import {
  type Attempt,
  endAttempt,
  finishNotice,
  outstandingNotices,
} from '../../db/queries/incidents/notices.ts';
import { findIncident } from '../../db/queries/incidents/reads.ts';
import { addNoticeEntry } from '../../db/queries/incidents/write.ts';
import type { PersonsRequest } from '../../domain/incidents/actions.ts';
import { type IncidentOutline, outlineOf } from '../../domain/incidents/facts.ts';
import type { DeliveryOutcome, NoticeKind, OutstandingNotice } from '../../domain/incidents/notice.ts';
import type { Installation } from '../../domain/temporal-ui/about.ts';
import { DELIVERY_SCHEDULE_MS, FAILURES, type Failure } from '../../workflows/retry-policies.ts';

export interface IncidentDependencies {
  orm: Orm;
  /** Epoch milliseconds. */
  clock: () => number;
  log: Logger;
  /** Names of the configured channels. */
  channels: readonly string[];
  /** Facts about the installation, which workflows show but cannot know. */
  installation: () => Promise<Installation>;
  /** Pauses between attempts, in milliseconds. */
  scheduleMs?: readonly number[];
}

/** What an incident's workflow reads. */
export interface IncidentView {
  outline: IncidentOutline;
  notices: OutstandingNotice[];
  channels: readonly string[];
  schedule_ms: readonly number[];
  /** Absent in histories of earlier releases. */
  installation?: Installation;
}

type NoticeOf = { incident_id: string; notice_id: string; kind: NoticeKind };

export type IncidentActivities = ReturnType<typeof createIncidentActivities>;

/**
 * Makes the activities that read and write for incident workflows. Each may be repeated: a person's request
 * is recognized by its `request`.
 */
export function createIncidentActivities(dependencies: IncidentDependencies) {
  const { orm, clock, log, channels, installation, scheduleMs = DELIVERY_SCHEDULE_MS } = dependencies;
  return {
    /** Reads the incident; null if it is gone. */
    async loadIncident({ incident_id }: { incident_id: string }): Promise<IncidentView | null> {
      // The notices are read after the row. If a change comes in between, its notices are seen now and its
      // row at the next read.
      const row = await findIncident(sqlOf(orm), incident_id);
      if (!row) return null;
      const notices = await outstandingNotices(sqlOf(orm), incident_id);
      return {
        outline: outlineOf(row),
        notices,
        channels,
        schedule_ms: scheduleMs,
        installation: await installation(),
      };
    },

    /** Acknowledges the incident. @throws ApplicationFailure `rejected` unless it is open, `gone` */
    async acknowledge(request: PersonsRequest & { comment?: string }): Promise<void> {
      await confirmed(actOnIncident(orm, { ...request, action: 'acknowledge' }, clock()));
    },

    /** Resolves the incident. @throws ApplicationFailure `rejected` if it is resolved, `gone` */
    async resolve(request: PersonsRequest & { comment?: string }): Promise<void> {
      await confirmed(actOnIncident(orm, { ...request, action: 'resolve' }, clock()));
    },

    /** Adds a comment. @throws ApplicationFailure `gone` */
    async comment(request: PersonsRequest & { text: string }): Promise<void> {
      await confirmed(actOnIncident(orm, { ...request, action: 'comment' }, clock()));
    },

    /** Records how a notice ended on a channel: at its last attempt, and on the timeline. */
    async settleDelivery(
      settled: NoticeOf & Attempt & { outcome: Exclude<DeliveryOutcome, 'retry'>; detail: string },
    ): Promise<void> {
      const { incident_id, notice_id, kind, channel, attempt, outcome, detail } = settled;
      await transaction(orm, async (db) => {
        await endAttempt(db, settled, { outcome, detail });
        const became = { notice_id, notice: kind, channel, attempts: attempt, detail };
        const entry = { incident_id, at: clock(), actor: 'tocsin', detail: became };
        const word = outcome === 'sent' ? 'notice_sent' : 'notice_failed';
        const first = await addNoticeEntry(db, { ...entry, kind: word });
        if (first && outcome === 'failed') log.error({ incident_id, ...became }, 'gave up on a notice');
      });
    },

    /** Marks a notice as done: every channel has delivered it or given up. */
    async finishNotice({ notice_id }: { notice_id: string }): Promise<void> {
      await finishNotice(sqlOf(orm), notice_id);
    },

    /** Says once, on the timeline and in the log, that there is no channel for the notice. */
    async notifiedNobody({ incident_id, notice_id, kind }: NoticeOf): Promise<void> {
      const first = await transaction(orm, async (db) => {
        const detail = { notice_id, notice: kind };
        const at = clock();
        await addNoticeEntry(db, { incident_id, at, kind: 'notified_nobody', actor: 'tocsin', detail });
        return finishNotice(db, notice_id);
      });
      if (first) log.warn({ incident_id, notice: kind }, 'nobody was notified: no channel is configured');
    },
  };
}

/**
 * Returns the answer for a person. A write that the incident's state or PostgreSQL refuses is not retried.
 */
async function confirmed(write: Promise<WriteOutcome>): Promise<void> {
  const outcome = await write.catch((error: unknown) => {
    if (isDataError(error)) throw answer('PostgreSQL cannot store this text', FAILURES.refused);
    throw error;
  });
  if (!outcome.done) throw answer(outcome.conflict, outcome.gone ? FAILURES.gone : FAILURES.rejected);
}

function answer(message: string, type: Failure): ApplicationFailure {
  // Benign, so that the worker does not log it as an error.
  return ApplicationFailure.create({
    ...{ message, type, nonRetryable: true, category: ApplicationFailureCategory.BENIGN },
  });
}
