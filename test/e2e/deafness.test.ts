import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BUDGETS } from '../../api/http/limits.ts';
import { makeSecret } from '../../domain/keys/key.ts';
import { eventAt } from '../support/load.ts';
import { System } from '../support/system.ts';
import { waitFor } from '../support/wait-for.ts';

const WINDOW_SECONDS = 4;
/** The size of the API's buffer, and how many events a neighbour sends at once. */
const BUFFER_EVENTS = 100;
/** Nearly the largest body, and the part of the budget that is left, into which no event fits. Bytes. */
const BODY_BYTES = 5_000_000;
const LEFT_BYTES = 20;

type Answer = { status: number; body: unknown };
type Span = { whose: string; name: string; reason: string; from: string; to: string };

describe('an incident whose events are refused', function () {
  this.timeout(240_000);
  const admin = makeSecret('key');
  let system: System;
  before(async () => {
    system = await System.start(['api', 'rules'], {
      ...{ AUTH: 'keys', BOOTSTRAP_KEY: admin, INGEST_TOKEN: 'a-token-that-nobody-knows' },
      BUFFER_EVENTS: String(BUFFER_EVENTS),
    });
    await system.query(`
      create function hindered() returns trigger language plpgsql as $$
      begin
        if tg_argv[0] = 'slow' then perform pg_sleep(0.2);
        else raise exception 'could not extend file' using errcode = '53100'; end if;
        return null;
      end $$`);
  });
  /** What must be stopped after a test, even if it failed. */
  const ends: (() => Promise<void>)[] = [];
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(system.complaints());
    for (const end of ends.splice(0)) await end();
  });
  after(() => system?.stop());

  async function ask(key: string, method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(system.url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? null : JSON.parse(text) };
  }
  async function make<T>(path: string, body: unknown): Promise<T> {
    const made = await ask(admin, 'POST', path, body);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body as T;
  }
  const keyOf = async (name: string, rate_limit: number | null = null) =>
    (await make<{ key: string }>('/keys', { name, roles: ['ingest'], rate_limit })).key;
  const watermark = async (column: 'value' | 'computed_at') =>
    (await system.query<{ at: number }>(`select ${column}::float8 as at from watermark`))[0]!.at;
  const databaseNow = async () =>
    (await system.query<{ at: number }>('select (extract(epoch from now()) * 1000)::float8 as at'))[0]!.at;
  const hinder = (how: 'slow' | 'full') =>
    system.query(
      `create trigger hindered before insert on events for each statement execute function hindered(${how})`,
    );
  const unhinder = () => system.query('drop trigger hindered on events');

  /**
   * A sender with an event every 200 ms. After a refusal it keeps further events until the test lets it send
   * them.
   */
  function steadySender(type: string, key: string) {
    const kept: ReturnType<typeof eventAt>[] = [];
    let refused: number | null = null;
    let patient = false;
    let going = true;
    let made = 0;
    const work = (async () => {
      while (going) {
        kept.push(eventAt(type, Date.now(), made++));
        while (kept.length > 0 && !patient) {
          const some = [...kept];
          const { status } = await ask(key, 'POST', '/events', some);
          if (status >= 400) {
            refused = status;
            patient = true;
          } else kept.splice(0, some.length);
        }
        await sleep(200);
      }
    })();
    return {
      refused: () => refused,
      async resume() {
        patient = false;
        await waitFor(() => kept.length === 0 || patient, { what: 'what was kept to be sent' });
        assert.ok(!patient, `refused again with ${refused}`);
      },
      async stop() {
        going = false;
        await work;
      },
    };
  }

  /**
   * Makes a rule fire by a sender's events, lets the sender be refused for longer than the window, and checks
   * that the incident stays open.
   */
  async function isKept(
    {
      type,
      key,
      status,
      reason,
      whose,
    }: Record<'type' | 'key' | 'reason' | 'whose', string> & { status: number },
    refuse: () => Promise<() => Promise<void>>,
  ): Promise<void> {
    const { id: rule } = await make<{ id: string }>('/alerts', {
      ...{ name: `Fires by ${type}`, event_type: type },
      ...{ threshold_count: 3, window_seconds: WINDOW_SECONDS },
    });
    const sender = steadySender(type, key);
    const incidents = () =>
      system.query<{ id: string; state: string; reopened: number }>(
        'select id, state, reopened from alert_incidents where rule_id = $1',
        [rule],
      );
    await waitFor(async () => (await incidents()).length === 1, { what: 'an incident', timeoutMs: 60_000 });
    let relented: Promise<void> | undefined;
    const end = await refuse();
    const relent = () => {
      relented ??= end();
      return relented;
    };
    ends.push(relent, sender.stop);
    await waitFor(() => sender.refused(), { what: 'the sender to be refused' });
    assert.equal(sender.refused(), status);
    const since = await databaseNow();
    // The rules are judged again and again while the window is empty.
    await waitFor(async () => (await watermark('computed_at')) > since + 1000 * (WINDOW_SECONDS + 3), {
      what: 'the window to pass',
    });
    assert.ok((await watermark('value')) <= since, 'the watermark stands');
    assert.equal((await incidents())[0]!.state, 'open');
    await relent();
    await sender.resume();
    const heard = await databaseNow();
    await waitFor(async () => (await watermark('value')) > heard, {
      what: 'the watermark to go on once everything is in',
      timeoutMs: 120_000,
    });
    const found = await incidents();
    const [incident] = found;
    assert.deepEqual(
      found.map(({ state, reopened }) => [state, reopened]),
      [['open', 0]],
    );
    const told = await system.query<{ kind: string }>(
      `select kind from incident_timeline where incident_id = $1 and kind in ('resolved', 'reopened', 'recovered')`,
      [incident!.id],
    );
    assert.deepEqual(told, []);
    // Only now: a window after the last event, the incident may resolve.
    await sender.stop();
    const detail = (await ask(admin, 'GET', `/incidents/${incident!.id}`)).body as { deaf_spans: Span[] };
    const status_ = (await ask(admin, 'GET', '/status')).body as { deaf_spans: Span[] };
    for (const { deaf_spans } of [detail, status_]) {
      const span = deaf_spans.find((one) => one.reason === reason && one.name === whose);
      assert.ok(span, `no span of ${whose} for ${reason}: ${JSON.stringify(deaf_spans)}`);
      assert.ok(Date.parse(span.from) <= since && Date.parse(span.to) >= Date.parse(span.from));
    }
  }

  it('stays open while another sender fills the buffer', async () => {
    const flooding = await keyOf('flooding');
    const key = await keyOf('beside the flood');
    await isKept(
      { type: 'flooded', key, status: 503, reason: 'buffer_full', whose: 'beside the flood' },
      async () => {
        await hinder('slow');
        let going = true;
        const flood = Array.from({ length: 4 }, async (_, n) => {
          for (let i = 0; going; i++) {
            const batch = Array.from({ length: BUFFER_EVENTS }, () => eventAt(`flood-${n}`, Date.now(), i++));
            const { status } = await ask(flooding, 'POST', '/events', batch);
            if (status >= 400) await sleep(10);
          }
        });
        return async () => {
          going = false;
          await Promise.all(flood);
          await unhinder();
        };
      },
    );
  });

  it('stays open while slow bodies of the same key use all the memory for bodies', async () => {
    const key = await keyOf('beside the bodies');
    await isKept(
      { type: 'crowded', key, status: 503, reason: 'body_budget', whose: 'beside the bodies' },
      async () => {
        const { hostname, port } = new URL(system.url);
        const sockets: Socket[] = [];
        for (let left = BUDGETS.events - LEFT_BYTES; left > 0; left -= BODY_BYTES) {
          const size = Math.min(left, BODY_BYTES);
          const socket = connect(Number(port), hostname);
          socket.on('error', () => {});
          socket.write(
            `POST /events HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${key}\r\n` +
              `Content-Type: application/json\r\nContent-Length: ${size + 1}\r\n\r\n`,
          );
          socket.write(Buffer.alloc(size, ' '));
          sockets.push(socket);
        }
        return async () => {
          for (const socket of sockets) socket.destroy();
          await waitFor(async () => (await ask(key, 'POST', '/events', [])).status < 500, {
            what: 'room for bodies',
          });
        };
      },
    );
  });

  it('stays open while its key is over its own rate', async () => {
    const key = await keyOf('hasty', 10);
    await isKept({ type: 'hasty', key, status: 429, reason: 'over_rate', whose: 'hasty' }, async () => {
      const batch = Array.from({ length: 100 }, (_, n) => eventAt('bulk', Date.now(), n));
      await waitFor(async () => (await ask(key, 'POST', '/events', batch)).status < 400, {
        what: 'a batch that overdraws its account',
      });
      return async () => {
        await waitFor(async () => (await ask(key, 'POST', '/events', [])).status < 400, {
          what: 'its account to be even',
        });
      };
    });
  });

  it('stays open while the disk of PostgreSQL is full', async () => {
    const key = await keyOf('beside the disk');
    await isKept(
      { type: 'written', key, status: 503, reason: 'disk_full', whose: 'beside the disk' },
      async () => {
        await hinder('full');
        return async () => {
          await unhinder();
          await waitFor(async () => (await ask(key, 'POST', '/events', [])).status < 500, {
            what: 'the way in to be open again',
            timeoutMs: 60_000,
          });
        };
      },
    );
  });
});
