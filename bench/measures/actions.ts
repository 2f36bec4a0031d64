import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { waitFor } from '../../test/support/wait-for.ts';
import { tidyNow } from '../../workflows/housekeeping.ts';
import { HOUSEKEEPING_WORKFLOW_ID } from '../../workflows/ids.ts';
import type { Bench, Figure } from '../bench.ts';
import { makeEvents } from '../events.ts';
import { Senders, steadily } from '../load.ts';
import { replaceRules } from '../rules.ts';
import { startWorkers } from '../workers.ts';

const RULES = 1000;
const PER_SECOND = 1000;
const MILLION = 1_000_000;
/** How many rounds housekeeping makes, one a minute, while a million events arrive at that rate. */
const ROUNDS = MILLION / PER_SECOND / 60;

const { EventType } = proto.temporal.api.enums.v1;

/** The history events that Temporal bills as actions. */
const ACTIONS: ReadonlySet<number> = new Set([
  EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
  EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
  EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
  EventType.EVENT_TYPE_TIMER_STARTED,
  EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
  EventType.EVENT_TYPE_MARKER_RECORDED,
  EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
  EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
  EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
]);

/**
 * Temporal actions for a million events that change no rule's state: those that the events cause, measured
 * with a part of them, plus housekeeping's, which runs once a minute regardless.
 */
export async function measureActions(bench: Bench): Promise<Figure[]> {
  const { system, database, quick } = bench;
  await startWorkers(bench);
  await replaceRules(database, RULES, 20);
  const connection = await Connection.connect({ address: system.temporalAddress });
  const client = new Client({ connection });
  const senders = new Senders(system.url, 4);
  try {
    // In a steady state the workflow of every rule exists and sleeps. Starting them takes a minute, so the
    // quick run does without.
    if (!quick) await everyRuleRuns(client);
    const before = await actions(client);
    const stop = steadily(senders, PER_SECOND, (count) => makeEvents(count, Date.now()));
    await sleep(quick ? 3_000 : 60_000);
    const events = await stop();
    const after = await actions(client);
    const caused = after.byEvents - before.byEvents;
    return [
      {
        measure: 'Temporal actions for a million events, 1,000 rules, 20 match',
        value: (caused * MILLION) / events + after.byRound * ROUNDS,
        ...{ floor: 5000, aim: 500, better: 'less', unit: 'actions' },
        detail: `extrapolated: ${caused} for ${events} events, ${after.byRound.toFixed(1)} a round of housekeeping`,
      },
    ];
  } finally {
    senders.close();
    await connection.close();
  }
}

async function everyRuleRuns(client: Client): Promise<void> {
  await client.workflow.getHandle(HOUSEKEEPING_WORKFLOW_ID).signal(tidyNow);
  const query = `WorkflowType = 'alertRule' AND ExecutionStatus = 'Running'`;
  await waitFor(async () => (await client.workflow.count(query)).count >= RULES, {
    ...{ what: 'every rule to have its workflow', timeoutMs: 300_000, everyMs: 1000 },
  });
}

/** Counts the actions so far without housekeeping's, and the actions of one housekeeping round. */
async function actions(client: Client): Promise<{ byEvents: number; byRound: number }> {
  let byEvents = 0;
  let byRound = 0;
  for await (const { workflowId, runId, type } of client.workflow.list({ pageSize: 1000 })) {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const types = (events ?? []).map(({ eventType }) => Number(eventType));
    const count = types.filter((eventType) => ACTIONS.has(eventType)).length;
    if (type !== 'housekeeping') byEvents += count;
    else {
      // Each round ends with a timer. The start of the workflow belongs to no round.
      const rounds = types.filter((eventType) => eventType === EventType.EVENT_TYPE_TIMER_STARTED).length;
      byRound = (count - 1) / Math.max(1, rounds);
    }
  }
  return { byEvents, byRound };
}
