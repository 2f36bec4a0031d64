import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { get } from 'node:http';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { waitFor } from '../../support/wait-for.ts';
import { type Stage, stage } from '../stage.ts';

/** Listens like a browser's EventSource, and records what it receives. */
async function listen(url: string, lastEventId?: string) {
  const stop = new AbortController();
  const told: { id: string; event: string; data: Record<string, string> }[] = [];
  let lastId = lastEventId ?? '';
  let ended = false;
  const headers: Record<string, string> = lastEventId ? { 'last-event-id': lastEventId } : {};
  const response = await fetch(url, { headers, signal: stop.signal });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const reading = (async () => {
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const frames = text.split('\n\n');
      text = frames.pop()!;
      for (const frame of frames) {
        const fields = Object.fromEntries(frame.split('\n').map((line) => line.split(/: (.*)/s, 2)));
        if (fields.id) lastId = fields.id;
        if (fields.data)
          told.push({ id: fields.id, event: fields.event ?? 'message', data: JSON.parse(fields.data) });
      }
    }
  })()
    .catch(() => {})
    .finally(() => {
      ended = true;
    });
  await waitFor(() => lastId !== '', { what: 'the first id' });
  return {
    told,
    ids: () => told.filter(({ event }) => event === 'message').map(({ data }) => data.id!),
    lastId: () => lastId,
    ended: () => ended,
    async close() {
      stop.abort();
      await reading;
    },
  };
}

describe('GET /events/stream', () => {
  let api: Stage;
  let databaseUrl: string;
  before(async () => {
    api = await stage();
    databaseUrl = (api.orm.config.get('clientUrl') as string) ?? '';
  });
  after(() => api.close());

  const event = (changes: Record<string, unknown> = {}) => ({
    ...{ event_id: randomUUID(), source_id: 'source-1', severity: 'high', event_type: 'cpu_spike' },
    ...{ timestamp: new Date().toISOString(), payload: {} as Record<string, unknown> },
    ...changes,
  });
  const send = async (events: ReturnType<typeof event>[]) => {
    assert.equal((await api.post('/events', events)).status, 200);
    return events.map(({ event_id }) => event_id);
  };
  const path = (query = '') => `${api.url}/events/stream${query}`;

  it('sends each event once it is committed, in the form of the list', async () => {
    const listener = await listen(path());
    const [id] = await send([event({ payload: { text: 'two\nlines' } })]);
    await waitFor(() => listener.told.length > 0, { what: 'the event' });
    assert.deepEqual(listener.told[0]!.data, (await api.get(`/events/${id}`)).body);
    await listener.close();
  });

  it('sends the events that its filter matches, like the list', async () => {
    const query =
      '?severity=low&source_id=source-9&event_type=disk&payload.host.name=web-1&payload.n=1&payload.ok=true';
    const listener = await listen(path(query));
    const payload = { host: { name: 'web-1' }, n: 1, ok: true };
    const wanted = { severity: 'low', source_id: 'source-9', event_type: 'disk', payload };
    const others = [
      { severity: 'high' },
      { source_id: 'source-1' },
      { event_type: 'cpu' },
      { payload: { ...payload, n: 2 } },
      { payload: { ok: true } },
    ];
    await send(others.map((other) => event({ ...wanted, ...other })));
    const [id] = await send([event(wanted)]);
    await waitFor(() => listener.told.length > 0, { what: 'the event' });
    assert.deepEqual(listener.ids(), [id]);
    assert.deepEqual(
      (await api.get(`/events${query}`)).body.map((found: { id: string }) => found.id),
      [id],
    );
    await listener.close();
  });

  it('neither misses nor repeats events when transactions end in another order than they began', async () => {
    const listener = await listen(path('?source_id=racing'));
    const insert = async (client: pg.Client) => {
      const id = randomUUID();
      await client.query(
        `insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
         values ($1, now(), 'racing', 'high', 'race', '{}', now())`,
        [id],
      );
      return id;
    };
    const [slow, quick] = [0, 1].map(() => new pg.Client({ connectionString: databaseUrl }));
    await Promise.all([slow!.connect(), quick!.connect()]);
    await slow!.query('begin');
    const late = await insert(slow!);
    const early = await insert(quick!);
    await waitFor(() => listener.ids().includes(early), { what: 'the event that was committed first' });
    const before = listener.lastId();
    await send([event({ source_id: 'racing' })]);
    await waitFor(() => listener.told.length === 2, { what: 'another' });
    await slow!.query('commit');
    await waitFor(() => listener.ids().includes(late), { what: 'the event that began first' });
    assert.equal(new Set(listener.ids()).size, 3);
    assert.equal(listener.told.length, 3);
    const resumed = await listen(path('?source_id=racing'), before);
    await waitFor(() => resumed.told.length >= 2, { what: 'what came after' });
    assert.deepEqual(new Set(resumed.ids()), new Set(listener.ids().filter((id) => id !== early)));
    await Promise.all([slow!.end(), quick!.end(), listener.close(), resumed.close()]);
  });

  it('resumes exactly after any event, even in the middle of an append', async () => {
    const listener = await listen(path('?source_id=resumed'));
    const start = listener.lastId();
    await Promise.all(
      Array.from({ length: 6 }, () =>
        send(Array.from({ length: 150 }, () => event({ source_id: 'resumed' }))),
      ),
    );
    await waitFor(() => listener.told.length >= 900, { what: 'all of them' });
    const all = listener.ids();
    assert.equal(new Set(all).size, 900);
    assert.equal(all.length, 900);
    for (const place of [-1, 0, 74, 199, 200, 613, 898]) {
      const resumed = await listen(path('?source_id=resumed'), listener.told[place]?.id ?? start);
      await waitFor(() => resumed.told.length >= 899 - place, { what: `the rest after ${place}` });
      // A stream that resumes within a commit continues in the order of the first stream. One from the start
      // has the order of the commits.
      assert.deepEqual(resumed.ids().toSorted(), all.slice(place + 1).toSorted());
      await resumed.close();
    }
    await listener.close();
  });

  it('continues from the id in the query, and accepts everything that polyfills add', async () => {
    const listener = await listen(path('?source_id=polyfill'));
    await send([event({ source_id: 'polyfill' }), event({ source_id: 'polyfill' })]);
    await waitFor(() => listener.told.length === 2, { what: 'both events' });
    const [first, second] = listener.told;
    const id = encodeURIComponent(first!.id);
    for (const query of [
      `lastEventId=${id}&padding=true`,
      `evs_last_event_id=${id}&evs_preamble=2056&evs_buffer_size_limit=262144`,
    ]) {
      const resumed = await listen(path(`?source_id=polyfill&${query}`));
      await waitFor(() => resumed.told.length > 0, { what: `what came after, by ${query}` });
      assert.deepEqual(resumed.ids(), [second!.data.id]);
      await resumed.close();
    }
    await listener.close();
  });

  it('prefers the id in the header to the one in the query', async () => {
    const listener = await listen(path('?source_id=both'));
    await send([event({ source_id: 'both' }), event({ source_id: 'both' })]);
    await waitFor(() => listener.told.length === 2, { what: 'both events' });
    const [first, second] = listener.told;
    const query = `?source_id=both&lastEventId=${encodeURIComponent(first!.id)}`;
    const resumed = await listen(path(query), second!.id);
    const [third] = await send([event({ source_id: 'both' })]);
    await waitFor(() => resumed.told.length > 0, { what: 'the next event' });
    assert.deepEqual(resumed.ids(), [third]);
    await Promise.all([listener.close(), resumed.close()]);
  });

  it('loses nothing for a listener that comes and goes while events are stored', async () => {
    let cursor = (
      await listen(path('?source_id=restless')).then(async (first) => {
        await first.close();
        return first;
      })
    ).lastId();
    const told: string[] = [];
    const sent: string[] = [];
    let sending = true;
    const sender = (async () => {
      for (let i = 0; i < 30; i++) {
        sent.push(...(await send(Array.from({ length: 20 }, () => event({ source_id: 'restless' })))));
      }
      sending = false;
    })();
    while (sending || told.length < sent.length) {
      const had = told.length;
      const listener = await listen(path('?source_id=restless'), cursor);
      await waitFor(() => listener.told.length > 0, { what: `more than ${had} of ${sent.length}` });
      await listener.close();
      told.push(...listener.ids());
      cursor = listener.lastId();
    }
    await sender;
    assert.deepEqual(told.toSorted(), sent.toSorted());
  });

  it('waits for a slow listener, keeps nothing in memory for it, and sends it everything', async () => {
    const request = get(path('?source_id=slow'));
    const response = await new Promise<import('node:http').IncomingMessage>((resolve) =>
      request.once('response', resolve),
    );
    response.pause();
    const large = 'x'.repeat(20_000);
    const sent: string[] = [];
    for (let i = 0; i < 30; i++) {
      sent.push(
        ...(await send(Array.from({ length: 20 }, () => event({ source_id: 'slow', payload: { large } })))),
      );
    }
    // 12 MB: more than sockets and the tail hold.
    const told: string[] = [];
    createInterface(response)
      .on('line', (line) => {
        if (line.startsWith('data: ')) told.push(JSON.parse(line.slice(6)).id);
      })
      // This is how the stream ends here.
      .on('error', () => {});
    response.resume();
    await waitFor(() => told.length >= 600, { what: 'everything' });
    assert.deepEqual(told.toSorted(), sent.toSorted());
    request.destroy();
  });

  it('reports a gap for an id that it did not make, of another database, or past the retention', async () => {
    const future = `${Date.now()}/9000000000:9000000000:`;
    for (const id of ['nonsense', '1/2:1:', '1/1:1:1', `1/1:${'9'.repeat(30)}:`, future]) {
      const listener = await listen(path(), id);
      await waitFor(() => listener.told.length > 0, { what: `the gap after ${id}` });
      assert.equal(listener.told[0]!.event, 'gap');
      assert.notEqual(listener.lastId(), id);
      await listener.close();
    }
    const [known] = await send([event({ source_id: 'long-ago' })]);
    const old = await listen(path('?source_id=long-ago'), `${Date.now() - 40 * 86_400_000}/3:3:`);
    await waitFor(() => old.told.length === 2, { what: 'the gap, and what is there' });
    assert.equal(old.told[0]!.event, 'gap');
    assert.deepEqual(old.ids(), [known]);
    await old.close();
  });

  it('limits the number of listeners, and has room again when they are gone', async function () {
    this.timeout(240_000);
    // The clock stands still, so that no comment is due. A listener that leaves must be noticed without one.
    const now = Date.now();
    const other = await stage({ change: () => ({ clock: () => now }) });
    const crowded = `${other.url}/events/stream`;
    const requests = await Promise.all(
      Array.from(
        { length: 1000 },
        () =>
          new Promise<import('node:http').ClientRequest>((resolve, reject) => {
            const request = get(crowded, (response) => {
              response.resume();
              response.on('error', () => {});
              if (response.statusCode === 200) resolve(request);
              else reject(new Error(String(response.statusCode)));
            });
            request.on('error', reject);
          }),
      ),
    );
    const refused = await other.get('/events/stream');
    assert.equal(refused.status, 503);
    for (const request of requests) request.destroy();
    const again = await waitFor(() => listen(crowded), { what: 'room' });
    const { event_id } = event();
    assert.equal((await other.post('/events', event({ event_id }))).status, 201);
    await waitFor(() => again.ids().includes(event_id), { what: 'the event' });
    await again.close();
    await other.close();
  });

  it('ends when the process stops', async () => {
    const other = await stage();
    const listener = await listen(`${other.url}/events/stream`);
    other.stop();
    await waitFor(() => listener.ended(), { what: 'the end' });
    await other.close();
  });
});
