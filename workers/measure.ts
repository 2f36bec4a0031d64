import type { WorkerInterceptors } from '@temporalio/worker';
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Emitted } from '../activities/producers/emit.ts';
import type { Evaluated } from '../activities/rules/evaluate.ts';
import type { Attempt } from '../db/queries/incidents/notices.ts';
import type { Attempted } from '../domain/incidents/notice.ts';
import type { IngestObserver } from '../ingest/observer.ts';
import { DURATIONS } from '../process/metrics/registry.ts';

/** Measures activities by what they return, so that the activities themselves contain no metrics. */
export function measureActivities(registry: Registry, ingest: IngestObserver): WorkerInterceptors {
  const registers = [registry];
  const durations = new Histogram({
    name: 'tocsin_activity_duration_seconds',
    help: 'Duration of an attempt of an activity, including local activities',
    labelNames: ['activity', 'result'],
    buckets: [...DURATIONS, 30, 60],
    registers,
  });
  const evaluations = new Counter({
    name: 'tocsin_rule_evaluations_total',
    help: 'Evaluations of rules by result',
    labelNames: ['result'],
    registers,
  });
  const deliveries = new Counter({
    name: 'tocsin_deliveries_total',
    help: 'Attempts to deliver a notice through a channel',
    labelNames: ['channel', 'outcome'],
    registers,
  });

  function count(activity: string, args: unknown[], returned: unknown): void {
    if (activity === 'evaluateRule') evaluations.inc({ result: resultOf(returned as Evaluated) });
    if (activity === 'emitBatch') ingest.invalid((returned as Emitted).refused);
    if (activity === 'deliver') {
      deliveries.inc({ channel: (args[0] as Attempt).channel, outcome: (returned as Attempted).outcome });
    }
  }

  return {
    activity: [
      ({ info }) => ({
        inbound: {
          async execute(input, next) {
            const activity = info.activityType;
            const end = durations.startTimer({ activity });
            try {
              const returned = await next(input);
              end({ result: 'completed' });
              count(activity, input.args, returned);
              return returned;
            } catch (error) {
              end({ result: 'failed' });
              if (activity === 'evaluateRule') evaluations.inc({ result: 'failed' });
              throw error;
            }
          },
        },
      }),
    ],
  };
}

function resultOf({ gone, backfill, more }: Evaluated): string {
  if (gone) return 'gone';
  if (backfill !== null) return 'backfill due';
  return more ? 'unfinished' : 'judged';
}
