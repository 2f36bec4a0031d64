import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { sampled, samplesOf } from '../support/samples.ts';
import { System } from '../support/system.ts';

/**
 * This number must not divide the buffer: the remaining free places must not let requests be read and then
 * refused.
 */
const EVENTS = 130;
const CALM_MS = 4_000;
const PUSH_MS = 30_000;
const TIMES = 10;
/** How many requests a test can have open while it shares the machine with the API. */
const MOST_UNDER_WAY = 2_000;
/** How much memory the API may use, in MiB: two thirds of its limit in Compose. 308 to 358 were measured. */
const MEMORY = 512;

interface Answer {
  status: number;
  retryAfter: string | undefined;
  body: string;
}

/** A batch with its own source, so that its stored events can be counted. */
function batch(source: string): string {
  const event = (_: unknown, n: number) =>
    `{"source_id":"${source}","severity":"low","event_type":"flood","payload":{"n":${n},"text":"${'x'.repeat(150)}"}}`;
  return `[${Array.from({ length: EVENTS }, event).join()}]`;
}

describe('ten times the load that the API can take', function () {
  this.timeout(240_000);
  let system: System;
  const agent = new Agent({ keepAlive: true });
  before(async () => {
    system = await System.start(['api'], { BUFFER_EVENTS: '5000' });
  });
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(system.complaints());
  });
  after(async () => {
    agent.destroy();
    await system?.stop();
  });

  /** Sends a batch; rejects if it is not answered. */
  function send(source: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const body = batch(source);
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      const sending = request(
        `${system.url}/events`,
        { method: 'POST', agent, headers },
        async (response) => {
          try {
            let text = '';
            for await (const chunk of response) text += chunk;
            resolve({
              status: response.statusCode!,
              retryAfter: response.headers['retry-after'],
              body: text,
            });
          } catch (error) {
            reject(error);
          }
        },
      );
      sending.on('error', reject).end(body);
    });
  }

  /** The memory of a process in megabytes. */
  const memoryOf = (pid: number) => Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)])) / 1024;

  it('is refused, answered and survived: acknowledged events are stored once, refused ones are not', async () => {
    const stored = new Set<string>();
    const refused = new Set<string>();
    const unanswered: unknown[] = [];
    const note = (source: string, { status, retryAfter, body }: Answer) => {
      if (status === 200) {
        assert.equal(JSON.parse(body).stored, EVENTS);
        stored.add(source);
      } else {
        assert.equal(status, 503, body);
        assert.match(retryAfter ?? '', /^[1-9]\d*$/);
        refused.add(source);
      }
    };

    // The normal load: eight senders, each of which waits for its answer.
    const calm = performance.now();
    await Promise.all(
      Array.from({ length: 8 }, async (_, sender) => {
        for (let n = 0; performance.now() - calm < CALM_MS; n++) {
          note(`calm-${sender}-${n}`, await send(`calm-${sender}-${n}`));
        }
      }),
    );
    const capacity = (stored.size / (performance.now() - calm)) * 1000;
    assert.equal(refused.size, 0);

    // Ten times the load, without waiting for answers.
    let most = 0;
    const pid = system.pid('api');
    const watch = setInterval(() => (most = Math.max(most, memoryOf(pid))), 500);
    const underWay = new Set<Promise<void>>();
    const begun = performance.now();
    let sent = 0;
    for (let passed = 0; passed < PUSH_MS; passed = performance.now() - begun) {
      const due = (passed / 1000) * capacity * TIMES;
      while (sent < due && underWay.size < MOST_UNDER_WAY) {
        const source = `push-${sent++}`;
        const work: Promise<void> = send(source)
          .then((answer) => note(source, answer))
          .catch((error) => void unanswered.push(error))
          .finally(() => underWay.delete(work));
        underWay.add(work);
      }
      await sleep(5);
    }
    await Promise.all(underWay);
    clearInterval(watch);
    const taken = [...stored].filter((source) => source.startsWith('push')).length;
    console.log(
      `      ${Math.round(capacity * EVENTS)} events/s alone; pushed with ${((sent / PUSH_MS) * 1000 * EVENTS).toFixed()} a second ` +
        `it took ${((taken / PUSH_MS) * 1000 * EVENTS).toFixed()}, within ${most.toFixed()} MiB`,
    );

    assert.deepEqual(unanswered, []);
    assert.ok(sent > 4 * taken, `pushed no more than ${(sent / taken).toFixed(1)} times what it took`);
    assert.ok(taken > 0);
    const metrics = samplesOf(await (await fetch(`${system.url}/metrics`)).text());
    const parsed = sampled(metrics, 'tocsin_events_total', { outcome: 'refused', via: 'http' })!;
    const share = parsed / (refused.size * EVENTS);
    assert.ok(share < 0.1, `parsed ${(100 * share).toFixed()} % of what it refused`);
    assert.ok(most < MEMORY, `held ${most.toFixed()} MiB`);
    const rows = await system.query<{ source_id: string; n: number }>(
      'select source_id, count(*)::int as n from events group by 1',
    );
    assert.deepEqual(new Set(rows.map(({ source_id }) => source_id)), stored);
    for (const { source_id, n } of rows) assert.equal(n, EVENTS, source_id);
    const { status } = await send('afterwards');
    assert.equal(status, 200);
  });
});
