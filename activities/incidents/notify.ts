import { ApplicationFailure } from '@temporalio/common';
import type { Logger } from 'pino';
import { NoticeEntity } from '../../db/entities/incident.ts';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { type Attempt, beginAttempt, endAttempt, wasSent } from '../../db/queries/incidents/notices.ts';
import { findIncident } from '../../db/queries/incidents/reads.ts';
import { factsOf } from '../../domain/incidents/facts.ts';
import type { Attempted, NoticeDocument } from '../../domain/incidents/notice.ts';
import { within } from '../../process/within.ts';
import { FAILURES } from '../../workflows/retry-policies.ts';
import { type Channel, FinalFailure, noAnswer, RetryableFailure } from '../channels/channel.ts';

export interface NotifyDependencies {
  orm: Orm;
  channels: readonly Channel[];
  /** Epoch milliseconds. */
  clock: () => number;
  log: Logger;
  /** Where people reach the API. */
  publicUrl: string;
  /** How long a channel may take, in milliseconds. */
  timeoutMs?: number;
  /** How long recording an outcome may take, in milliseconds. */
  recordMs?: number;
}

export type NotifyActivities = ReturnType<typeof createNotifyActivities>;

/** Makes the activity that sends notices. */
export function createNotifyActivities(dependencies: NotifyDependencies) {
  const { orm, clock, log, publicUrl, timeoutMs = 15_000, recordMs = 5_000 } = dependencies;
  const byName = new Map(dependencies.channels.map((channel) => [channel.name, channel]));

  /**
   * Reads what to send, and records that the attempt begins. If the channel has the notice already, it is not
   * sent again.
   */
  async function begin(attempt: Attempt): Promise<NoticeDocument | Attempted> {
    const db = sqlOf(orm);
    if (await wasSent(db, attempt)) return { outcome: 'sent', detail: 'an earlier attempt was delivered' };
    const notice = await orm.em.fork().findOne(NoticeEntity, attempt.notice_id);
    const incident = notice && (await findIncident(db, notice.incidentId));
    if (!incident) return { outcome: 'failed', detail: 'the incident no longer exists' };
    await beginAttempt(db, attempt, clock());
    return {
      ...{ id: notice.id, kind: notice.kind, at: notice.at.toISOString() },
      incident: factsOf(incident),
      rule: { id: incident.rule_id, name: incident.rule_name },
      links: { incident: `${publicUrl.replace(/\/+$/, '')}/incidents/${incident.id}` },
    };
  }

  async function send(document: NoticeDocument, name: string): Promise<Attempted> {
    const channel = byName.get(name);
    // This is not final: during a change of settings, another worker may have the channel.
    if (!channel) return { outcome: 'retry', detail: 'this worker has no channel of this name' };
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const { detail } = await within(signal, channel.send(document, signal), noAnswer);
      return { outcome: 'sent', detail };
    } catch (error) {
      if (error instanceof FinalFailure) return { outcome: 'failed', detail: error.message };
      if (error instanceof RetryableFailure) {
        return { outcome: 'retry', detail: error.message, retry_after_ms: error.retryAfterMs };
      }
      // Only the errors that a channel throws on purpose are known to contain no secrets.
      return { outcome: 'retry', detail: `error in the channel: ${(error as Error).name}` };
    }
  }

  /**
   * Records the outcome. After sending, neither an error nor a long wait may fail the activity, because the
   * notice would be sent again. The workflow records the last outcome too.
   */
  async function record(attempt: Attempt, outcome: Parameters<typeof endAttempt>[2]): Promise<void> {
    try {
      await within(recordMs, endAttempt(sqlOf(orm), attempt, outcome));
    } catch (error) {
      log.warn(
        { ...attempt, reason: (error as Error).message },
        'could not record the outcome of a delivery yet',
      );
    }
  }

  return {
    /**
     * Makes one attempt. Its row is written before the notice is sent. So a crash in between leaves a row and
     * counts as an attempt. A notice may then arrive twice with the same message id, but never without a row.
     * @throws ApplicationFailure `transient` if our own database is down; then nothing was sent
     */
    async deliver(attempt: Attempt): Promise<Attempted> {
      const document = await begin(attempt).catch((error: unknown) => {
        throw ApplicationFailure.create({
          message: `nothing was sent because PostgreSQL is unavailable: ${(error as Error).message}`,
          type: FAILURES.transient,
        });
      });
      if ('outcome' in document) return document;
      const startedAt = clock();
      const delivered = await send(document, attempt.channel);
      const durationMs = Math.max(0, Math.round(clock() - startedAt));
      const { outcome, detail } = delivered;
      const level = outcome === 'sent' ? 'info' : 'warn';
      log[level]({ ...attempt, outcome, detail, durationMs }, 'notice delivery');
      await record(attempt, { outcome, detail, durationMs });
      return delivered;
    },
  };
}
