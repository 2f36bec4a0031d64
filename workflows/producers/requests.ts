import { ApplicationFailure } from '@temporalio/common';
import type { ProducerSettings } from '../../domain/producers/producer.ts';
import { settingsFlaw } from '../../domain/producers/tick.ts';
import { FAILURES } from '../retry-policies.ts';
import type { Pace } from './pace.ts';

/** Validators of a producer's updates. A rejected update leaves no trace in the history. */

export function requirePausable({ paused }: Pace): void {
  if (paused) refuse('the producer is paused already');
}

export function requireResumable({ paused, breaker }: Pace): void {
  if (!paused && breaker.opened === 0) refuse('the producer is running already');
}

/** Rejects updates while the workflow is stopping, because they would have no effect. */
export function requireStaying(stopping: boolean): void {
  if (stopping) refuse('the producer is stopping');
}

export function requireRunnable(settings: ProducerSettings): void {
  const flaw = settingsFlaw(settings);
  if (flaw) refuse(flaw);
}

export function requireRate(settings: ProducerSettings, rate: number): void {
  if (settings.kind !== 'simulated') refuse('only a simulated producer has a rate');
  if (!Number.isFinite(rate)) refuse('rate_per_second must be a number');
  requireRunnable(withRate(settings, rate));
}

export function withRate(settings: ProducerSettings, rate: number): ProducerSettings {
  return settings.kind === 'simulated' ? { ...settings, rate_per_second: rate } : settings;
}

function refuse(reason: string): never {
  throw ApplicationFailure.nonRetryable(reason, FAILURES.rejected);
}
