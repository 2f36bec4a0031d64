import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { addressFlaw, type Network } from '../../domain/producers/probe-address.ts';

/** A connection to a URL's host, with its certificate. `certificateDaysLeft` is null without TLS. */
export interface Connected {
  socket: Socket;
  certificateDaysLeft: number | null;
  /** Why the certificate is not trusted; null if it is. */
  untrusted: string | null;
}

/** What a check may connect to and trust. */
export interface Reach {
  /** Additional trusted certificate authorities, PEM. */
  ca?: string | undefined;
  /** Networks that are not public and that checks may connect to. */
  allowed?: readonly Network[] | undefined;
}

/** The host's address is forbidden. */
export class ForbiddenAddress extends Error {
  override name = 'ForbiddenAddress';
}

/**
 * Connects to the host of an http or https URL. It checks the same addresses that it connects to. So DNS
 * cannot lead it elsewhere by giving another answer the second time. If the certificate is not trusted, that
 * is reported and nothing is sent.
 * @throws ForbiddenAddress, or the socket's error
 */
export async function connectTo(
  url: URL,
  signal: AbortSignal,
  { ca, allowed = [] }: Reach,
): Promise<Connected> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0) refuseForbidden(host, [{ address: host, family: isIP(host) }], allowed);
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  const options = { host, port, lookup: checkedLookup(allowed) };
  if (url.protocol !== 'https:') {
    const socket = connectTcp(options);
    await opened(socket, 'connect', signal);
    return { socket, certificateDaysLeft: null, untrusted: null };
  }
  const socket = connectTls({
    ...options,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: false,
  });
  await opened(socket, 'secureConnect', signal);
  return {
    socket,
    certificateDaysLeft: daysLeft(socket),
    untrusted: socket.authorized ? null : String(socket.authorizationError),
  };
}

const checkedLookup =
  (allowed: readonly Network[]): LookupFunction =>
  (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      try {
        refuseForbidden(hostname, addresses, allowed);
      } catch (refusal) {
        return callback(refusal as Error, []);
      }
      if (options.all) return callback(null, addresses);
      return callback(null, addresses[0]!.address, addresses[0]!.family);
    });
  };

function refuseForbidden(host: string, addresses: LookupAddress[], allowed: readonly Network[]): void {
  for (const { address } of addresses) {
    const flaw = addressFlaw(address, allowed);
    if (flaw !== null) throw new ForbiddenAddress(`${host} ${flaw}`);
  }
}

function opened(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    socket.once('close', () => signal.removeEventListener('abort', abort));
    // The listener stays, because errors may also come after the connection is up.
    socket.on('error', reject);
    socket.once(event, () => resolve());
  });
}

function daysLeft(socket: TLSSocket): number | null {
  const { valid_to } = socket.getPeerCertificate();
  if (!valid_to) return null;
  return Math.floor((Date.parse(valid_to) - Date.now()) / 86_400_000);
}
