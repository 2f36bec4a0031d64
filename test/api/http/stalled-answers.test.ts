import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import pg from 'pg';
import { Slots } from '../../../api/http/slots.ts';
import { RECEIVING_RULES } from '../../../domain/received-alerts/protocols.ts';
import { MAX_PAYLOAD } from '../../../ingest/append/validate.ts';
import { waitFor } from '../../support/wait-for.ts';
import { bearer, type KeyStage, keyStage } from '../auth/stage.ts';
import { type Stage, stage } from '../stage.ts';

const MB = 1e6;
const CLIENTS = 30;
/**
 * The memory allowed for each answer that waits for its client. A whole answer would be 38 MB. An export
 * holds a page of events, its text and its bytes; 1.1 to 2.6 MB were measured.
 */
const EACH = 4 * MB;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const memory = () => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/**
 * Waits until the used memory no longer changes. The server reads on for a moment after it has sent the
 * headers.
 */
async function settledMemory(): Promise<number> {
  let last = Number.NaN;
  return waitFor(
    () => {
      const now = memory();
      const settled = Math.abs(now - last) < MB;
      last = now;
      return settled ? now : null;
    },
    { what: 'memory to settle', everyMs: 250 },
  );
}

/** Begins a request, reads the beginning of the answer, and then nothing more. */
const stall = (url: string, headers: Record<string, string> = {}) =>
  new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers, agent: false }, (response) => {
      response.on('error', () => {});
      response.pause();
      resolve(response);
    }).on('error', reject);
  });

/** Stores so many of the largest events in one commit. */
const commitMany = (api: Stage, events: number) =>
  api.query(`insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
    select gen_random_uuid(), now() - i * interval '1 second', 'many', 'info', 'tick', jsonb_build_object('many', 'yes', 'text', repeat('x', ${MAX_PAYLOAD - 100})), now()
    from generate_series(1, ${events}) i`);

describe('an answer that its client does not read', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
    await commitMany(api, 600);
    await api.query(`insert into received_alerts
      (rule_id, key, group_key, labels, annotations, severity, summary, starts_at, ends_at, ends, updated_at)
      select '${RECEIVING_RULES.alertmanager}', md5(i::text), md5(i::text), jsonb_build_object('alertname', i::text),
        jsonb_build_object('text', repeat('x', 60000)), 'high', 'x', 0, 253402300799000, 'given', 0
      from generate_series(1, 600) i`);
  });
  after(() => api.close());

  for (const path of [
    '/events/export',
    '/events/export?payload.many=yes',
    '/events?limit=200',
    '/events?limit=200&payload.many=yes',
    '/events/source/many',
    '/api/v2/alerts',
  ]) {
    it(`only part of the answer to GET ${path} is held in memory`, async () => {
      // The first answer is not measured, because it also loads code and opens connections.
      (await stall(api.url + path)).destroy();
      const before = memory();
      const responses = await Promise.all(Array.from({ length: CLIENTS }, () => stall(api.url + path)));
      try {
        assert.ok(responses.every(({ statusCode }) => statusCode === 200));
        const held = (await settledMemory()) - before;
        assert.ok(held < CLIENTS * EACH, `${CLIENTS} held ${Math.round(held / MB)} MB`);
      } finally {
        for (const response of responses) response.destroy();
      }
    });
  }

  it('twenty large answers that are not read take bounded memory', async () => {
    const before = memory();
    let [most, reading] = [0, 20];
    const read = async () => {
      const response = await fetch(`${api.url}/events?limit=200`);
      let bytes = 0;
      for await (const chunk of response.body!) bytes += chunk.length;
      reading--;
      return bytes;
    };
    const lists = Array.from({ length: 20 }, read);
    await waitFor(
      () => {
        most = Math.max(most, memory() - before);
        return reading === 0;
      },
      { what: 'twenty lists', everyMs: 500 },
    );
    for (const bytes of await Promise.all(lists)) assert.ok(bytes > 200 * (MAX_PAYLOAD - 100));
    assert.ok(most < 100 * MB, `held ${Math.round(most / MB)} MB`);
  });

  it('the answer is complete once the client reads on', async () => {
    const list = await api.get('/events?limit=200&offset=100');
    const ids = list.body.map(({ id }: { id: string }) => id);
    const all = await api.query<{ event_id: string }>(
      'select event_id from events order by occurred_at desc',
    );
    assert.deepEqual(
      ids,
      all.slice(100, 300).map(({ event_id }) => event_id),
    );
    const next = /^<([^>]+)>; rel="next"$/.exec(list.headers.get('link') ?? '')?.[1];
    assert.equal((await api.get(next!)).body[0].id, all[300]!.event_id);
    const lines = (await (await fetch(`${api.url}/events/export`)).text()).trimEnd().split('\n');
    assert.equal(lines.length, 600);
    assert.equal(new Set(lines.map((line) => JSON.parse(line).event_id)).size, 600);
    const alerts = (await api.get('/api/v2/alerts')).body as { fingerprint: string }[];
    assert.equal(new Set(alerts.map(({ fingerprint }) => fingerprint)).size, 600);
    const one = (await api.get('/api/v2/alerts?filter=alertname%3D%2277%22')).body;
    assert.equal(one.length, 1);
    assert.deepEqual((await api.get('/api/v2/alerts?filter=alertname%3D%22none%22')).body, []);
    const groups = (await api.get('/api/v2/alerts/groups')).body as unknown[];
    assert.ok(groups.length >= 60 && groups.length <= 80, `${groups.length} groups`);
  });
});

describe('event streams that their clients do not read', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
    await commitMany(api, 600);
  });
  after(() => api.close());

  for (const [which, lastEventId] of [
    ['as they are committed', ''],
    ['that were missed', `${Date.now()}/3:3:`],
  ]) {
    it(`each stream holds only part of the events ${which} in memory`, async () => {
      const before = memory();
      const path = `${api.url}/events/stream?source_id=many&lastEventId=${lastEventId}`;
      const responses = await Promise.all(Array.from({ length: CLIENTS }, () => stall(path)));
      try {
        // 6 MB in one commit. The API keeps them for its listeners.
        if (lastEventId === '') await commitMany(api, 100);
        await waitFor(() => responses.every(({ socket }) => socket.bytesRead > 20_000), {
          what: 'as much of the events as the listeners take',
        });
        const held = (await settledMemory()) - before;
        assert.ok(held < CLIENTS * EACH, `${CLIENTS} held ${Math.round(held / MB)} MB`);
      } finally {
        for (const response of responses) response.destroy();
      }
    });
  }
});

describe('a client that does not read', () => {
  for (const path of ['/events/export', '/api/v2/alerts', '/events?limit=200']) {
    it(`the connection is closed after a limited time: GET ${path}`, async () => {
      const api = await stage({ stalledMs: 1500 });
      try {
        await api.query(`insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
          select gen_random_uuid(), now() - i * interval '1 second', 'many', 'info', 'tick', jsonb_build_object('text', repeat('x', 60000)), now()
          from generate_series(1, 400) i`);
        await api.query(`insert into received_alerts
          (rule_id, key, group_key, labels, annotations, severity, summary, starts_at, ends_at, ends, updated_at)
          select '${RECEIVING_RULES.alertmanager}', md5(i::text), md5(i::text), '{}', jsonb_build_object('text', repeat('x', 60000)),
            'high', 'x', 0, 253402300799000, 'given', 0
          from generate_series(1, 400) i`);
        const response = await stall(api.url + path);
        let closed = false;
        response.socket.once('close', () => {
          closed = true;
        });
        // Received data is read only after the server has closed the connection.
        const ended = new Promise<void>((resolve) => response.once('close', () => resolve()));
        await waitFor(
          async () => {
            const text = String((await api.get('/metrics')).body);
            return /tocsin_/.test(text) && (await openConnections(api)) <= 1;
          },
          { what: 'the connection to be closed' },
        );
        response.resume();
        await ended;
        assert.ok(closed || response.destroyed);
        assert.equal(response.complete, false, 'no part of it passes for the whole');
      } finally {
        await api.close();
      }
    });
  }

  const openConnections = (api: Stage) =>
    new Promise<number>((resolve, reject) =>
      api.server.getConnections((e, n) => (e ? reject(e) : resolve(n))),
    );
});

describe('long answers to one key', () => {
  let api: KeyStage;
  before(async () => {
    api = await keyStage();
    await api.query(`insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
      select gen_random_uuid(), now() - i * interval '1 second', 'many', 'info', 'tick', jsonb_build_object('text', repeat('x', 60000)), now()
      from generate_series(1, 300) i`);
  });
  after(() => api.close());

  it('the number of concurrent alert-group answers of one key is limited', async () => {
    const { key } = await api.key(['read']);
    const groups = () => api.by(key, 'GET', '/api/v2/alerts/groups');
    assert.equal((await groups()).status, 200);
    const client = new pg.Client({ connectionString: api.orm.config.get('clientUrl') as string });
    await client.connect();
    // With the table locked, none of these requests can continue.
    await client.query('begin; lock table received_alerts in access exclusive mode');
    const asked = Array.from({ length: 9 }, groups);
    const first = await Promise.race(asked);
    assert.equal(first.status, 429);
    assert.match(first.body, /8 lists of groups of alerts/);
    await client.end();
    const answers = await Promise.all(asked);
    assert.equal(answers.filter(({ status }) => status === 200).length, 8);
    assert.equal((await groups()).status, 200);
  });

  it('the number of concurrent exports of one key is limited, and other keys are not affected', async () => {
    const [one, other] = [await api.key(['read']), await api.key(['read'])];
    const download = (key: string) => stall(`${api.url}/events/export`, bearer(key));
    const begun = await Promise.all(Array.from({ length: 8 }, () => download(one.key)));
    assert.ok(begun.every(({ statusCode }) => statusCode === 200));
    const ninth = await download(one.key);
    assert.equal(ninth.statusCode, 429);
    assert.equal(ninth.headers['retry-after'], '5');
    const others = await download(other.key);
    assert.equal(others.statusCode, 200);
    for (const response of [...begun, ninth, others]) response.destroy();
    await waitFor(
      async () => {
        const again = await download(one.key);
        again.destroy();
        return again.statusCode === 200;
      },
      { what: 'room again once they have ended' },
    );
  });

  it('the number of concurrent event streams of one key is limited', async () => {
    const slots = new Slots('streams', { ofOne: 2, ofAll: 3 });
    const by = (id: string | null) => ({
      id,
      name: String(id),
      roles: [],
      rateLimit: null,
      sources: null,
      expiresAt: null,
    });
    const leave = slots.take(by('a'));
    slots.take(by('a'));
    assert.throws(() => slots.take(by('a')), { status: 429 });
    slots.take(by('b'));
    assert.throws(() => slots.take(by('c')), { status: 503 });
    leave();
    leave();
    slots.take(by('a'));
    assert.throws(() => slots.take(by('c')), { status: 503 });
  });
});
