import type { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import { type FailingGroup, failingGroups } from '../../../db/queries/rules/pending.ts';
import { listeners } from '../../../db/queries/rules/watermark.ts';
import { spansWithin } from '../../../db/queries/system/deaf-spans.ts';
import { lastRounds, type Round, wedgedOf } from '../../../db/queries/system/housekeeping-rounds.ts';
import {
  type ProcessState,
  processStates,
  type SystemState,
  systemState,
} from '../../../db/queries/system/status.ts';
import { DAY_MS } from '../../../domain/events/event.ts';
import { givenUp, holdsOf, type Listeners, QUIET_AFTER_MS } from '../../../domain/rules/watermark.ts';
import type { DeafSpan } from '../../../domain/system/deafness.ts';
import { HOUSEKEEPING_STEPS, ROUND_OVERDUE_MS } from '../../../domain/system/housekeeping.ts';
import type { DiskReport } from '../../../process/disk/guard.ts';
import { within } from '../../../process/within.ts';
import type { ApiDeps } from '../../deps.ts';
import { showSpan } from './deaf-span.ts';
import type { diskOut, statusOut } from './status-schema.ts';

type Status = z.output<typeof statusOut>;

/** How long each part may wait before alerting counts as impaired, in seconds. */
const PATIENCE = { watermark: 60, outbox: 10, evaluations: 30, notices: 60 };
/** How many deaf spans the status shows. */
const DEAF_SPANS = 50;

/** The roles that must run so that events become incidents and reach people. */
const NEEDED = ['ingest', 'rules', 'incidents', 'notify'];

/** Collects the status of the whole system. It also answers if parts of the system do not. */
export async function systemStatus(deps: ApiDeps): Promise<Status> {
  const [database, temporal] = await Promise.all([
    within(2000, readDatabase(deps)).catch((error: unknown) => {
      deps.log.warn({ err: error }, 'status: PostgreSQL does not answer');
      return null;
    }),
    temporalStatus(deps),
  ]);
  // PostgreSQL's clock, which all processes share. If PostgreSQL is down, this process's clock.
  const now = database?.state.now ?? deps.clock();
  return assess(now, database, temporal, deps.settings.channels, deps.disk.report());
}

/** What the database reports. */
interface Found {
  state: SystemState;
  processes: ProcessState[];
  listeners: Listeners;
  deaf: DeafSpan[];
  /** Groups that cannot be judged. */
  failing: FailingGroup[];
  /** The last round of each step of housekeeping. */
  rounds: Round[];
}

/** Decides whether the system is impaired, and lists the reasons. */
export function assess(
  now: number,
  database: Found | null,
  temporal: Status['temporal'],
  channels: readonly string[],
  disk: DiskReport,
): Status {
  const impaired: string[] = [];
  if (!temporal.reachable)
    impaired.push('Temporal does not answer: rules are not judged and nobody is notified');
  else if (temporal.dead_letter_sources === null) {
    // Temporal's frontend still answers for a while after its database is gone, although no workflow can run.
    impaired.push('Temporal answers, but its workflows cannot be counted: its database may be down');
  }
  if (channels.length === 0) impaired.push('no channel is configured: nobody is notified of incidents');
  if (disk.state === 'full')
    impaired.push(`the disk of PostgreSQL is full${freeOf(disk)}: events are refused`);
  if (disk.state === 'low') impaired.push(`the disk of PostgreSQL is nearly full${freeOf(disk)}`);
  const base = {
    at: new Date(now).toISOString(),
    postgres: { reachable: database !== null },
    temporal,
    disk: showDisk(disk),
    channels: [...channels],
  };
  if (!database) {
    return { status: 'down', impaired: ['PostgreSQL does not answer', ...impaired], workers: false, ...base };
  }
  const { state } = database;
  const processes = database.processes.map(
    ({ id, role, started_at, beat_at, ended, in_flight, buffered }) => {
      const beat_age_seconds = Math.max(0, (now - beat_at) / 1000);
      return {
        ...{ id, role },
        started_at: new Date(started_at).toISOString(),
        beat_age_seconds,
        alive: !ended && beat_age_seconds * 1000 <= QUIET_AFTER_MS,
        ended,
        in_flight,
        buffered,
      };
    },
  );
  const roles = new Set(processes.filter(({ alive }) => alive).map(({ role }) => role));
  const missing = NEEDED.filter((role) => !roles.has(role));
  for (const role of missing) impaired.push(`no ${role} worker is alive`);
  const watermarkLag = state.watermark === 0 ? null : Math.max(0, (now - state.watermark) / 1000);
  const late = (what: string, age: number | null, patience: number) => {
    if (age !== null && age > patience) impaired.push(`${what} for ${Math.round(age)} s`);
  };
  if (watermarkLag === null) impaired.push('the watermark has not been set yet');
  const holds = holdsOf(database.listeners, now);
  const slowest = holds.toSorted((a, b) => a.at - b.at)[0];
  late(
    `the watermark waits for ${slowest?.who ?? 'an ingest process'} and has not advanced`,
    watermarkLag,
    PATIENCE.watermark,
  );
  if (watermarkLag !== null && watermarkLag > PATIENCE.watermark) {
    for (const { gone, who } of holds) {
      if (gone !== undefined) {
        impaired.push(
          `${who} process ${gone} is dead and holds the watermark: start another ${who} process, or, if it is gone for good, POST /processes/${gone}/retire`,
        );
      }
    }
  }
  for (const { who, behind } of givenUp(database.listeners, now)) {
    impaired.push(
      `${who} is ${Math.round(behind / 60_000)} min behind: incidents resolve without waiting for its events`,
    );
  }
  late('stored events have not woken their rules', state.outbox_age, PATIENCE.outbox);
  late('woken rules have not been judged', state.evaluations_age, PATIENCE.evaluations);
  for (const { rule_name, group_key, failure, failed_since } of database.failing) {
    const since = new Date(failed_since).toISOString();
    impaired.push(`group ${group_key} of rule ${rule_name} cannot be judged since ${since}: ${failure}`);
  }
  late('notices have not been delivered', state.notices_age, PATIENCE.notices);
  const { rounds } = database;
  const longAlive = database.processes.some(
    ({ role, started_at }) => role === 'rules' && now - started_at > ROUND_OVERDUE_MS,
  );
  for (const step of HOUSEKEEPING_STEPS) {
    const round = rounds.find((one) => one.step === step);
    const reason = round?.error ? `: ${round.error}` : '';
    if (round ? now - (round.succeeded_at ?? 0) > ROUND_OVERDUE_MS : longAlive) {
      impaired.push(`housekeeping (${step}) has not succeeded for ${ROUND_OVERDUE_MS / 60_000} min${reason}`);
    }
  }
  const wedged = wedgedOf(rounds);
  for (const { workflow_id, reason } of wedged) {
    impaired.push(`workflow ${workflow_id} cannot continue: ${reason}`);
  }
  return {
    status: impaired.length > 0 ? 'impaired' : 'ok',
    impaired,
    workers: missing.length === 0,
    ...base,
    processes,
    watermark: {
      at: state.watermark === 0 ? null : new Date(state.watermark).toISOString(),
      lag_seconds: watermarkLag,
    },
    deaf_spans: database.deaf.map(showSpan),
    waiting: {
      wakes: { count: state.outbox, oldest_seconds: state.outbox_age },
      evaluations: { count: state.evaluations, oldest_seconds: state.evaluations_age },
      notices: { count: state.notices, oldest_seconds: state.notices_age },
      rules_not_ready: state.rules_not_ready,
      dead_letters: state.dead_letters,
    },
    housekeeping: rounds.map(({ step, started_at, ended_at, succeeded_at, error }) => ({
      step,
      started_at: new Date(started_at).toISOString(),
      ended_at: new Date(ended_at).toISOString(),
      succeeded_at: succeeded_at === null ? null : new Date(succeeded_at).toISOString(),
      error,
    })),
    wedged_workflows: wedged,
    incidents: { open: state.incidents_open, acknowledged: state.incidents_acknowledged },
  };
}

/** Converts the state of the disk into the form that the API answers. */
export function showDisk({ measured_at, ...disk }: DiskReport): z.output<typeof diskOut> {
  return { ...disk, measured_at: measured_at === null ? null : new Date(measured_at).toISOString() };
}

function freeOf({ free_bytes, total_bytes }: DiskReport): string {
  if (free_bytes === null || total_bytes === null) return '';
  return `, ${((100 * free_bytes) / total_bytes).toFixed(1)} % (${(free_bytes / 2 ** 30).toFixed(1)} GiB) free`;
}

async function readDatabase({ orm }: ApiDeps): Promise<Found> {
  const db = sqlOf(orm);
  const [state, processes, who, failing, rounds] = await Promise.all([
    systemState(db),
    processStates(db),
    listeners(db),
    failingGroups(db),
    lastRounds(db),
  ]);
  const { now } = who;
  const deaf = await spansWithin(db, { from: now - DAY_MS, to: now, limit: DEAF_SPANS });
  return { state, processes, listeners: who, deaf, failing, rounds };
}

/**
 * Counts running dead-letter workflows. Such a workflow runs while it holds a dead letter that is not stored,
 * or redrives.
 */
async function temporalStatus({ client }: ApiDeps): Promise<Status['temporal']> {
  const query = "WorkflowType = 'deadLetter' AND ExecutionStatus = 'Running'";
  const [answer, held] = await client.withDeadline(Date.now() + 2000, () =>
    Promise.allSettled([client.workflowService.getSystemInfo({}), client.workflow.count(query)]),
  );
  return {
    reachable: answer.status === 'fulfilled',
    dead_letter_sources: held.status === 'fulfilled' ? held.value.count : null,
  };
}
