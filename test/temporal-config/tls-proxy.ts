import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createSecureServer, type IncomingHttpHeaders, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { temporaryDirectory } from '../support/temporary.ts';

export function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Creates a certificate authority, and certificates of it for a server and a client. */
export function makeCertificates() {
  const dir = temporaryDirectory();
  const file = (name: string) => join(dir, name);
  const make = (name: string, subject: string, ...more: string[]) => {
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      file(`${name}.key`),
    ];
    execFileSync(
      'openssl',
      ['req', '-x509', ...key, '-out', file(`${name}.pem`), '-days', '2', '-subj', `/CN=${subject}`, ...more],
      { stdio: 'pipe' },
    );
    return { cert: file(`${name}.pem`), key: file(`${name}.key`) };
  };
  const ca = make('ca', 'Tocsin test CA');
  const signed = ['-CA', ca.cert, '-CAkey', ca.key, '-addext', 'basicConstraints=critical,CA:FALSE'];
  const server = make('server', 'temporal.test', ...signed, '-addext', 'subjectAltName=DNS:temporal.test');
  const client = make('client', 'tocsin', ...signed);
  return { ca: ca.cert, server, client };
}

export interface Seen {
  path: string;
  authorization: string | undefined;
  /** The subject of the client's certificate. */
  client: string | undefined;
}

/**
 * Terminates TLS in front of a Temporal server, like Temporal Cloud, and requires a client certificate from
 * `ca`.
 */
export async function tlsProxy(
  upstream: string,
  { ca, server: { cert, key } }: ReturnType<typeof makeCertificates>,
  { mutual }: { mutual: boolean },
) {
  const seen: Seen[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const behind = connect(`http://${upstream}`);
  const server = createSecureServer({
    ...{ cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(ca) },
    ...(mutual ? { requestCert: true, rejectUnauthorized: true } : {}),
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  server.on('stream', (stream, headers) => {
    const { authorization, ':scheme': _scheme, ':authority': _authority, ...onwards } = headers;
    const socket = stream.session?.socket as TLSSocket | undefined;
    const client = mutual ? String(socket?.getPeerCertificate().subject.CN) : undefined;
    seen.push({ path: String(headers[':path']), authorization, client });
    const onward = behind.request(onwards);
    let trailers: IncomingHttpHeaders = {};
    onward.on('response', ({ ':status': status, ...rest }, flags) => {
      if (!stream.destroyed) {
        stream.respond(
          { ':status': status, ...rest },
          flags & 1 ? { endStream: true } : { waitForTrailers: true },
        );
      }
    });
    onward.on('trailers', (given) => {
      trailers = given;
    });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.on('error', () => {});
    stream.on('close', () => onward.close());
    onward.on('error', () => stream.close());
    stream.pipe(onward);
    onward.pipe(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async close() {
      for (const session of sessions) session.destroy();
      behind.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
