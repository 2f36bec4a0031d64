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
 * Host names that always mean this machine. Any other name may belong to another site that made it resolve to
 * this machine (DNS rebinding).
 */
const OWN_NAME = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;
/** One segment of a path. `.` and `..` are excluded, also as %2e, because they would lead to another path. */
const PART = '(?!(?:\\.|%2e){1,2}(?:[/?]|$))[^/?#;\\\\]+';
/** The path of a workflow query. A query only reads, although it is sent by POST. */
const QUERY = new RegExp(
  `^/api/v1/namespaces/${PART}/workflows/${PART}(?:/runs/${PART})?/query/${PART}(?:\\?[^#]*)?$`,
  'i',
);

/**
 * Opens a proxy on `port` of 127.0.0.1 in front of the dev server's Web UI. The UI itself requires no key,
 * accepts any Host, and can terminate every workflow. The proxy passes only requests that use a name of this
 * machine and come from the UI's own pages. It passes changes only if `mode` is `write`.
 * @throws StartupError if the port is taken
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

/** Says why a request is refused; undefined if it is not. */
function refusal({ method = '', url = '', headers }: IncomingMessage, mode: UiMode): string | undefined {
  const { host = '', origin } = headers;
  if (!OWN_NAME.test(host)) return `${host} is not a name of this machine: ask for localhost`;
  if (method === 'GET' || method === 'HEAD') return undefined;
  if (origin !== undefined && origin !== `http://${host}`) return 'requests from other sites are refused';
  if (mode === 'write' || (method === 'POST' && QUERY.test(url))) return undefined;
  return 'the Temporal Web UI only reads here: TEMPORAL_UI=write lets it change workflows';
}

function refuse(answer: ServerResponse, status: number, message: string): void {
  // The UI expects Temporal's errors in this form.
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
  // An answer that will be changed must arrive uncompressed and complete.
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

/** The function that changes the answer; undefined if the answer stays as it is. */
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

/** Tells the UI not to offer actions, because the proxy would refuse them. */
const withoutActions = (settings: string) =>
  JSON.stringify({ ...(JSON.parse(settings) as object), DisableWriteActions: true });

/**
 * Columns of the list of workflows. By default the UI shows only ids, and those of rules and incidents are
 * UUIDs.
 */
const COLUMNS = ['Status', 'Workflow ID', 'State', 'Severity', 'RuleName', 'Type', 'Start', 'End'];

/**
 * Makes the page begin with these columns. The script stores them where the UI stores a user's choice. It
 * stands before the page's content security policy, which would refuse it.
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
 * A random loopback address for the UI behind the proxy. A page that uses DNS rebinding would have to guess
 * 24 bits of address in addition to the port. Only Linux has all of 127.0.0.0/8.
 */
export function hiddenAddress(): string {
  if (process.platform !== 'linux') return '127.0.0.1';
  return `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
}
