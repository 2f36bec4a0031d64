import { request } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Event } from '../../domain/events/event.ts';
import { type HttpCheckSettings, redactedUrl } from '../../domain/producers/producer.ts';
import { type Connected, connectTo, ForbiddenAddress, type Reach } from './connect.ts';

/**
 * The longest probe, in milliseconds, whatever its settings say. It must end before its activity times out.
 */
const LONGEST_TIMEOUT_MS = 20_000;

/** The result of a probe. `error` is set if there was no usable answer. */
export interface Finding {
  status: number | null;
  /** Milliseconds until the headers of the answer. */
  latency_ms: number;
  certificate_days_left: number | null;
  error: string | null;
}

export type Probe = (settings: HttpCheckSettings) => Promise<Finding>;

/**
 * Makes a function that probes a URL: one GET, whose redirects are not followed and whose body is not read.
 * It never throws: failures are results.
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
 * Makes the event of one check. Its tick fixes its identity, so only the first of several attempts is stored.
 * Severity: info if healthy, high for a wrong status or a certificate that expires soon, critical if there is
 * no answer.
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
    // A server may switch protocols without being asked. Without a listener, Node reports that to nobody.
    outgoing.once('upgrade', (response, upgraded) => {
      resolve(response.statusCode!);
      upgraded.destroy();
    });
    outgoing.on('error', reject);
    outgoing.once('close', () => reject(new Error('the connection closed without an answer')));
    outgoing.end();
  });
}

/** The reason in few words, without the URL. System messages name host and port, which is enough. */
function reasonOf(error: unknown): string {
  if (error instanceof ForbiddenAddress) return error.message;
  const { message, code } = error as NodeJS.ErrnoException;
  return (message || code || 'unreachable').slice(0, 200);
}
