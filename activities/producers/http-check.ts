import { request } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Event } from '../../domain/events/event.ts';
import { type HttpCheckSettings, redactedUrl } from '../../domain/producers/producer.ts';
import { type Connected, connectTo, ForbiddenAddress, type Reach } from './connect.ts';

/** A probe may not outlast its activity, whatever its settings say. Milliseconds. */
const LONGEST_TIMEOUT_MS = 20_000;

/** What a look at a URL found. `error` is set where there was no answer that counts. */
export interface Finding {
  status: number | null;
  /** To the answer's headers, milliseconds. */
  latency_ms: number;
  certificate_days_left: number | null;
  error: string | null;
}

export type Probe = (settings: HttpCheckSettings) => Promise<Finding>;

/**
 * Makes the probe: one GET, redirects not followed (their status is the answer), the body not read. Never
 * throws: what went wrong is what was found.
 */
export function createProbe(reach: Reach = {}): Probe {
  return async ({ url, timeout_ms }) => {
    const started = performance.now();
    const timeout = Math.min(timeout_ms, LONGEST_TIMEOUT_MS);
    const signal = AbortSignal.timeout(timeout);
    let connected: Connected | undefined;
    const found = (status: number | null, error: string | null): Finding => ({
      status,
      latency_ms: Math.round(performance.now() - started),
      certificate_days_left: connected?.certificateDaysLeft ?? null,
      error,
    });
    try {
      connected = await connectTo(new URL(url), signal, reach);
      if (connected.untrusted) return found(null, `certificate not trusted: ${connected.untrusted}`);
      return found(await statusOf(new URL(url), connected, signal), null);
    } catch (error) {
      return found(null, signal.aborted ? `no answer within ${timeout} ms` : reasonOf(error));
    } finally {
      connected?.socket.destroy();
    }
  };
}

/**
 * The event of one check. Its identity is fixed by its tick, so of several tries only the first one stored
 * counts. Severity: info when healthy, high for a wrong status or a certificate near its end, critical
 * without an answer.
 */
export async function probeEvent(
  settings: HttpCheckSettings,
  probe: Probe,
): Promise<Pick<Event, 'severity' | 'event_type' | 'payload'>> {
  const finding = await probe(settings);
  const { status, certificate_days_left: daysLeft, error } = finding;
  const expected = settings.expected_status;
  const statusOk =
    status !== null && (expected.length > 0 ? expected.includes(status) : status >= 200 && status < 400);
  const ending = daysLeft !== null && daysLeft <= settings.certificate_days;
  const ok = error === null && statusOk && !ending;
  const flaw = ending ? `certificate ends in ${daysLeft} days` : statusOk ? null : `status ${status}`;
  return {
    event_type: 'http_check',
    severity: error !== null ? 'critical' : ok ? 'info' : 'high',
    payload: { url: redactedUrl(settings.url), ok, ...finding, error: error ?? flaw },
  };
}

function statusOf(url: URL, { socket }: Connected, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const credentials = [url.username, url.password].map(decodeURIComponent).join(':');
    const outgoing = request({
      createConnection: () => socket,
      signal,
      path: url.pathname + url.search,
      headers: {
        host: url.host,
        'user-agent': 'tocsin-http-check',
        accept: '*/*',
        connection: 'close',
        ...(credentials === ':' ? {} : { authorization: `Basic ${btoa(credentials)}` }),
      },
    });
    outgoing.once('response', (response) => {
      resolve(response.statusCode!);
      response.destroy();
    });
    // Asked for by nobody, and without a listener Node would tell of it to nobody either.
    outgoing.once('upgrade', (response, upgraded) => {
      resolve(response.statusCode!);
      upgraded.destroy();
    });
    outgoing.on('error', reject);
    outgoing.once('close', () => reject(new Error('the connection closed without an answer')));
    outgoing.end();
  });
}

/** Short, and without the URL: messages of the system name hosts and ports, which is what helps. */
function reasonOf(error: unknown): string {
  if (error instanceof ForbiddenAddress) return error.message;
  const { message, code } = error as NodeJS.ErrnoException;
  return (message || code || 'unreachable').slice(0, 200);
}
