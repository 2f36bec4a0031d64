import { randomInt } from 'node:crypto';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { portTaken } from './ports.ts';
import { StartupError, systemCode } from './startup-error.ts';

/** What people may do in the Temporal Web UI: `write` lets them signal, cancel and terminate workflows. */
export type UiMode = 'read' | 'write';

export type UiDoor = { url: string; close(): Promise<void> };

export const uiRemedy = 'stop that one, or set TEMPORAL_UI_PORT';

/** Names of this machine that no other site can have. Any other name may have been made to resolve to it (DNS rebinding). */
const OWN_NAME = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;
/** Part of a path that a server can only take as it is: `..`, however it is written, would lead elsewhere. */
const PART = '(?!(?:\\.|%2e){1,2}(?:[/?]|$))[^/?#;\\\\]+';
/** A query reads the state of a workflow, though it is sent by POST. */
const QUERY = new RegExp(
  `^/api/v1/namespaces/${PART}/workflows/${PART}(?:/runs/${PART})?/query/${PART}(?:\\?[^#]*)?$`,
  'i',
);

/**
 * Listens on `port` of 127.0.0.1 in front of the dev server's Web UI, which asks nobody for a key, takes any Host, and can end
 * every workflow. Lets through what is asked of this machine by its own name, from its own pages, and only reads unless `mode` is
 * `write`. Throws StartupError if the port is taken.
 */
export async function openUiDoor(
  port: number,
  target: { host: string; port: number },
  mode: UiMode,
): Promise<UiDoor> {
  const server = createServer((incoming, answer) => {
    const reason = refusal(incoming, mode);
    if (reason !== undefined) refuse(answer, 403, reason);
    else pass(incoming, answer, target, mode);
  });
  server.on('upgrade', (_, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        systemCode(error) === 'EADDRINUSE'
          ? new StartupError(portTaken(port, 'the Temporal Web UI', uiRemedy))
          : error,
      ),
    );
    server.listen({ port, host: '127.0.0.1', exclusive: true }, resolve);
  });
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Why a request is refused; undefined when it isn't. */
function refusal({ method = '', url = '', headers }: IncomingMessage, mode: UiMode): string | undefined {
  const { host = '', origin } = headers;
  if (!OWN_NAME.test(host)) return `${host} is not a name of this machine: ask for localhost`;
  if (method === 'GET' || method === 'HEAD') return undefined;
  if (origin !== undefined && origin !== `http://${host}`) return 'requests from other sites are refused';
  if (mode === 'write' || (method === 'POST' && QUERY.test(url))) return undefined;
  return 'the Temporal Web UI only reads here: TEMPORAL_UI=write lets it change workflows';
}

function refuse(answer: ServerResponse, status: number, message: string): void {
  // The form in which the UI shows errors of Temporal.
  answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ code: 7, message }));
}

function pass(
  incoming: IncomingMessage,
  answer: ServerResponse,
  target: { host: string; port: number },
  mode: UiMode,
): void {
  const { method, url = '/', headers } = incoming;
  const isSettings = mode === 'read' && url.split('?')[0] === '/api/v1/settings';
  const forwarded = { ...headers, host: `${target.host}:${target.port}` };
  if (isSettings) delete forwarded['accept-encoding'];
  const inner = request({ ...target, method, path: url, headers: forwarded }, (response) => {
    if (isSettings) void sendSettings(response, answer);
    else {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    }
  });
  inner.on('error', () => {
    if (answer.headersSent) answer.destroy();
    else refuse(answer, 502, 'the Temporal Web UI does not answer');
  });
  answer.on('close', () => inner.destroy());
  incoming.pipe(inner);
}

/** Tells the UI to offer no actions: what it offered would be refused. */
async function sendSettings(response: IncomingMessage, answer: ServerResponse): Promise<void> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const settings = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>;
    const { 'content-length': _, ...headers } = response.headers;
    answer.writeHead(response.statusCode ?? 502, headers);
    answer.end(JSON.stringify({ ...settings, DisableWriteActions: true }));
  } catch {
    refuse(answer, 502, 'the Temporal Web UI does not answer');
  }
}

/**
 * An address of loopback for the UI behind the door. A page of another site that had its own name resolve to loopback would have to guess
 * 24 bits of address beside the port. Only Linux has all of 127.0.0.0/8.
 */
export function hiddenAddress(): string {
  if (process.platform !== 'linux') return '127.0.0.1';
  return `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
}
