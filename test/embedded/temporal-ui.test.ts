import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { type RunningTemporal, startTemporal } from '../../embedded/temporal/temporal.ts';
import { chromium, open } from '../support/browser.ts';
import { steadyPort } from '../support/ports.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { waitFor } from '../support/wait-for.ts';

const EVIL = 'evil.example';

describe('access to Temporal without a key', function () {
  this.timeout(180_000);

  let temporal: RunningTemporal;
  let connection: Connection;
  let uiPort: number;
  const dbDir = join(temporaryDirectory(), 'temporal');
  const servers: Server[] = [];

  async function start(uiMode: 'read' | 'write'): Promise<void> {
    uiPort = await steadyPort();
    temporal = await startTemporal({
      namespace: 'default',
      dbFile: join(dbDir, 'temporal.db'),
      uiPort,
      uiMode,
      logFile: join(temporaryDirectory(), 'temporal.log'),
      log: () => {},
    });
    connection = await Connection.connect({ address: temporal.address });
    // The UI looks for the server when it starts, and then only after a second.
    await waitFor(async () => (await ask(`localhost:${uiPort}`, '/api/v1/namespaces')).status === 200, {
      what: 'the UI to reach the server',
    });
  }

  async function stop(): Promise<void> {
    await connection.close();
    await temporal.stop();
  }

  before(() => start('read'));
  after(async () => {
    await stop();
    for (const server of servers) server.close();
  });

  const handle = async (workflowId: string) => {
    const { workflow } = new Client({ connection });
    return workflow.start('any', { workflowId, taskQueue: 'nobody' });
  };
  const queryOf = (rest: string) => `/api/v1/namespaces/default/workflows/${rest}`;
  const termination = (id: string) => `/api/v1/namespaces/default/workflows/${id}/terminate`;

  /** Serves a page of another site, and resolves to its port. */
  async function site(html: string): Promise<number> {
    const server = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(html));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  /** A request with a Host of our choice, which any program can send. */
  function ask(host: string, path: string, method = 'GET', headers: Record<string, string> = {}) {
    return new Promise<{ status: number; body: string }>((resolve, reject) => {
      const asked = request(
        {
          ...{ host: '127.0.0.1', port: uiPort, path, method },
          headers: { host, ...headers, ...(method === 'GET' ? {} : { 'content-length': '2' }) },
        },
        (response) => {
          let body = '';
          response.on('data', (chunk) => {
            body += chunk;
          });
          response.on('end', () => resolve({ status: response.statusCode!, body }));
        },
      );
      asked.on('error', reject).end(method === 'GET' ? undefined : '{}');
    });
  }

  it('lets no page of another site end a workflow, whatever port the server uses', async function () {
    if (!chromium || process.platform !== 'linux') return skip(this);
    const workflow = await handle('kept');
    const addresses = [...listeningAddresses(temporal.pid), `127.0.0.1:${uiPort}`];
    assert.ok(addresses.length >= 4, addresses.join());
    const page = await open(
      `http://${EVIL}:${await site(`<body>waiting<script>
        const posts = ${JSON.stringify(addresses)}.flatMap((address) =>
          ['text/plain', 'application/json'].map((type) =>
            fetch('http://' + address + '${termination('kept')}', {
              method: 'POST', mode: type === 'text/plain' ? 'no-cors' : 'cors', headers: { 'content-type': type }, body: '{}',
            }).catch(() => {})));
        Promise.allSettled(posts).then(() => { document.body.textContent = 'all sent'; });
      </script>`)}/`,
      [EVIL],
    );
    assert.match(page, /all sent/);
    assert.equal((await workflow.describe()).status.name, 'RUNNING');
  });

  it('shows nothing to another site whose name resolves to this machine', async function () {
    if (!chromium) return skip(this);
    const page = await open(`http://${EVIL}:${uiPort}/api/v1/namespaces/default/workflows`, [EVIL]);
    assert.match(page, /evil\.example:\d+ is not a name of this machine/);
    assert.doesNotMatch(page, /executions|temporal-system/);
  });

  it('shows the Web UI under names of this machine, without actions', async function () {
    if (!chromium) return skip(this);
    const page = await open(`http://localhost:${uiPort}/namespaces/default/workflows`);
    assert.match(page, /Workflows/);
    assert.doesNotMatch(page, /Start Workflow/);
  });

  it('lists workflows by state, severity and rule until the user chooses other columns', async function () {
    if (!chromium) return skip(this);
    await handle('listed');
    const page = await open(`http://localhost:${uiPort}/namespaces/default/workflows`);
    const [head = ''] = /<thead[\s\S]*?<\/thead>/.exec(page) ?? [];
    const words = head.replace(/<[^>]*>/g, ' ').match(/\S+/g) ?? [];
    assert.match(words.join(' '), /^Status Workflow ID State Severity RuleName Type Start End$/);
    const { body } = await ask(`localhost:${uiPort}`, '/', 'GET', { accept: 'text/html' });
    assert.match(body, /^<!doctype html>[^<]*<html[^>]*>\s*<head><script>localStorage\[[^\]]+\]\?\?=/);
  });

  it('answers only under names of this machine', async () => {
    for (const host of [`127.0.0.1:${uiPort}`, `localhost:${uiPort}`, 'LOCALHOST', `[::1]:${uiPort}`]) {
      assert.equal((await ask(host, '/api/v1/settings')).status, 200, host);
    }
    for (const host of [EVIL, `localhost.${EVIL}`, `${EVIL}:127.0.0.1`, '127.0.0.1.nip.io', 'local host']) {
      assert.equal((await ask(host, '/api/v1/settings')).status, 403, host);
    }
  });

  it('allows queries of workflows', async () => {
    await handle('asked');
    for (const path of ['asked/query/__stack_trace', 'rule%2Fasked/query/x?y=/..', 'a.b../query/..c']) {
      const { status, body } = await ask(`localhost:${uiPort}`, queryOf(path), 'POST');
      assert.doesNotMatch(body, /TEMPORAL_UI/, path);
      assert.notEqual(status, 403, path);
    }
  });

  it('refuses every change, and says how to allow it', async () => {
    const workflow = await handle('read-only');
    for (const [method, path] of [
      ['POST', termination('read-only')],
      ['POST', `${termination('read-only')}/query/x`],
      // Temporal's server removes dots from the path before it checks what is requested.
      ...['..', '.%2E', '%2e%2e'].map(
        (up) => ['POST', queryOf(`any/query/${up}/${up}/read-only/terminate`)] as const,
      ),
      ['POST', queryOf('read-only/query/x/../../terminate')],
      ['POST', queryOf('read-only/query/..')],
      ['POST', queryOf('../query/x')],
      ['POST', queryOf('read-only/query/')],
      ['POST', '/api/v1/namespaces/default/batch-operations/any'],
      ['DELETE', '/api/v1/namespaces/default'],
      ['PUT', '/api/v1/namespaces/default'],
    ] as const) {
      const { status, body } = await ask(`localhost:${uiPort}`, path, method, { authorization: 'Bearer x' });
      assert.equal(status, 403, `${method} ${path}`);
      assert.match(body, /TEMPORAL_UI=write/);
    }
    assert.equal((await workflow.describe()).status.name, 'RUNNING');
    const settings = JSON.parse((await ask(`localhost:${uiPort}`, '/api/v1/settings')).body);
    assert.equal(settings.DisableWriteActions, true);
  });

  it('keeps Temporal’s data from other users of the machine', () => {
    if (process.platform === 'win32') return;
    const mode = (path: string) => statSync(path).mode & 0o777;
    assert.equal(mode(dbDir), 0o700);
    const files = readdirSync(dbDir);
    assert.ok(files.includes('temporal.db'));
    for (const file of files) assert.equal(mode(join(dbDir, file)), 0o600, file);
  });

  it('lets its own pages change workflows if that was configured, and no other site', async () => {
    await stop();
    await start('write');
    const workflow = await handle('writable');
    const host = `localhost:${uiPort}`;
    // The UI requires the token of its cookie, unless the request has an Authorization header.
    const headers = { authorization: 'Bearer x', 'content-type': 'application/json' };
    for (const origin of [`http://${EVIL}`, 'null', 'http://127.0.0.1:1']) {
      const { status } = await ask(host, termination('writable'), 'POST', { ...headers, origin });
      assert.equal(status, 403, origin);
    }
    assert.equal((await workflow.describe()).status.name, 'RUNNING');
    const { status, body } = await ask(host, termination('writable'), 'POST', {
      ...headers,
      origin: `http://${host}`,
    });
    assert.equal(status, 200, body);
    assert.equal((await workflow.describe()).status.name, 'TERMINATED');
  });
});

function skip(test: Mocha.Context): void {
  console.log('      skipped: this needs Linux and Chromium (apt-get install chromium)');
  test.skip();
}

/** `host:port` of the IPv4 TCP sockets on which a process listens. Linux only. */
function listeningAddresses(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        // The socket was closed meanwhile.
        return [];
      }
    }),
  );
  return readFileSync('/proc/net/tcp', 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.has(inode!))
    .map(([, local]) => {
      const [address, port] = local!.split(':');
      const bytes = address!.match(/../g)!.map((byte) => Number.parseInt(byte, 16));
      return `${bytes.reverse().join('.')}:${Number.parseInt(port!, 16)}`;
    });
}
