import { randomInt } from 'node:crypto';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { portTaken } from '../ports.ts';
import { StartupError, systemCode } from '../startup-error.ts';

/** What people may do in the Temporal Web UI: `write` lets them signal, cancel and terminate workflows. */
export type UiMode = 'read' | 'write';

type DoorOptions = { mode: UiMode; namespace: string };

export type UiDoor = { url: string; close(): Promise<void> };

export const uiRemedy = 'stop that one, or set TEMPORAL_UI_PORT';

/**
 * Names of this machine that no other site can have. Any other name may have been made to resolve to it (DNS
 * rebinding).
 */
const OWN_NAME = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;
/** One part of a path. `.` and `..`, also as %2e, are excluded: they would lead to another path. */
const PART = '(?!(?:\\.|%2e){1,2}(?:[/?]|$))[^/?#;\\\\]+';
/** A query reads the state of a workflow, though it is sent by POST. */
const QUERY = new RegExp(
  `^/api/v1/namespaces/${PART}/workflows/${PART}(?:/runs/${PART})?/query/${PART}(?:\\?[^#]*)?$`,
  'i',
);

/**
 * Listens on `port` of 127.0.0.1 in front of the dev server's Web UI, which asks nobody for a key, takes any
 * Host, and can end every workflow. Lets through what is asked of this machine by its own name, from its own
 * pages, and only reads unless `mode` is `write`. Throws StartupError if the port is taken.
 */
export async function openUiDoor(
  port: number,
  target: { host: string; port: number },
  options: DoorOptions,
): Promise<UiDoor> {
  const { mode } = options;
  const server = createServer((incoming, answer) => {
    const reason = refusal(incoming, mode);
    if (reason !== undefined) refuse(answer, 403, reason);
    else pass(incoming, answer, target, options);
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
  options: DoorOptions,
): void {
  const { method, url = '/', headers } = incoming;
  const rewrite = rewriteOf(url, headers, options);
  const forwarded: IncomingMessage['headers'] = { ...headers, host: `${target.host}:${target.port}` };
  // What is rewritten must come uncompressed, and whole.
  if (rewrite) for (const name of ['accept-encoding', 'if-none-match', 'range']) delete forwarded[name];
  const inner = request({ ...target, method, path: url, headers: forwarded }, (response) => {
    if (rewrite) void sendRewritten(response, answer, rewrite);
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

/** How the answer is changed; undefined if it is not. */
function rewriteOf(
  url: string,
  { accept = '' }: IncomingMessage['headers'],
  { mode, namespace }: DoorOptions,
): ((text: string) => string) | undefined {
  const path = url.split('?')[0]!;
  if (mode === 'read' && path === '/api/v1/settings') return withoutActions;
  if (!accept.includes('text/html') || path.startsWith('/api/')) return undefined;
  return (page) => withColumns(page, namespace);
}

/** Tells the UI to offer no actions: what it offered would be refused. */
const withoutActions = (settings: string) =>
  JSON.stringify({ ...(JSON.parse(settings) as object), DisableWriteActions: true });

/**
 * Columns of the list of workflows. The UI's own show only ids, and those of rules and incidents are UUIDs.
 */
const COLUMNS = ['Status', 'Workflow ID', 'State', 'Severity', 'RuleName', 'Type', 'Start', 'End'];

/**
 * Gives the page these columns to begin with. The UI keeps those that its user chooses in the same place. The
 * script comes before the page's policy for scripts, which would refuse it.
 */
function withColumns(page: string, namespace: string): string {
  const columns = JSON.stringify({ [namespace]: COLUMNS.map((label) => ({ label })) });
  const text = JSON.stringify(columns).replaceAll('<', '\\u003c');
  const script = `localStorage['namespace-workflow-table-columns']??=${text}`;
  return page.replace('<head>', () => `<head><script>${script}</script>`);
}

async function sendRewritten(
  response: IncomingMessage,
  answer: ServerResponse,
  rewrite: (text: string) => string,
): Promise<void> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const body = rewrite(Buffer.concat(chunks).toString('utf8'));
    const { 'content-length': _, etag: __, ...headers } = response.headers;
    answer.writeHead(response.statusCode ?? 502, headers);
    answer.end(body);
  } catch {
    refuse(answer, 502, 'the Temporal Web UI does not answer');
  }
}

/**
 * An address of loopback for the UI behind the door. A page of another site that had its own name resolve to
 * loopback would have to guess 24 bits of address beside the port. Only Linux has all of 127.0.0.0/8.
 */
export function hiddenAddress(): string {
  if (process.platform !== 'linux') return '127.0.0.1';
  return `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
}
