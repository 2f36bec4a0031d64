import { settingsFlaw } from '../../domain/producers/tick.ts';
import { codeSpan } from '../../domain/temporal-ui/text.ts';
import type { ProducerStatus } from '../messages.ts';
import type { Breaker } from './breaker.ts';

/** Describes for the Temporal Web UI what a producer does and waits for, in Markdown. */
export function producerDetails(status: ProducerStatus, { retry_at }: Breaker, ending?: string): string[] {
  const { settings, next_sequence, behind_ms, in_flight, emitted, dead_lettered, last_error } = status;
  const pace =
    settings.kind === 'simulated'
      ? `${settings.rate_per_second} events/s, every ${settings.tick_ms} ms`
      : `every ${settings.interval_seconds} s`;
  const flaw = settingsFlaw(settings);
  const lines = [
    `- Pace: ${pace}; ${Math.round(behind_ms / 1000)} s behind`,
    `- ${emitted} events stored, ${dead_lettered} dead letters; ${in_flight} batches in flight, next sequence number ${next_sequence}`,
    ...(flaw ? [`- Cannot run: ${codeSpan(flaw, 500)}`] : []),
    ...(last_error ? [`- Last error: ${codeSpan(last_error, 500)}`] : []),
  ];
  return [ending ? `**${ending}**` : waiting(status, retry_at), lines.join('\n')];
}

function waiting({ state, next_tick_at, settings }: ProducerStatus, retry_at: number | null): string {
  if (state === 'paused') return '**Paused**: waits until somebody resumes it.';
  if (state === 'breaker open') {
    const when = retry_at === null ? 'now' : `at ${new Date(retry_at).toISOString()}`;
    return `**Breaker open**: too many batches failed. It tries one ${when}, or when somebody resumes it.`;
  }
  if (settingsFlaw(settings)) return '**Running**, but waits for settings that it can run by.';
  return `**Running**: next tick at ${new Date(next_tick_at).toISOString()}.`;
}
