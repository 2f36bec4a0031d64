import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { CloudEvent, emitterFor, HTTP, httpTransport, Mode } from 'cloudevents';
import { type Stage, stage } from '../stage.ts';

describe('POST /events from the CloudEvents SDK', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  const event = (changes: object = {}) =>
    new CloudEvent({
      source: '/shop/checkout',
      type: 'com.example.order',
      subject: 'Zürich "№ 7" %',
      severity: 'high',
      data: { value: 7, text: 'grün' },
      ...changes,
    });
  const stored = (id: string) => api.get(`/events/${id}`);

  for (const mode of [Mode.BINARY, Mode.STRUCTURED]) {
    it(`stores what its emitter sends in ${mode} mode, once however often it is sent`, async () => {
      const emit = emitterFor(httpTransport(`${api.url}/events`), { binding: HTTP, mode });
      const given = event({ subject: 'order 7' });
      await emit(given);
      await emit(given);
      const { body } = await stored(given.id);
      assert.deepEqual(body, {
        id: given.id,
        event_id: given.id,
        source_id: '/shop/checkout',
        event_type: 'com.example.order',
        severity: 'high',
        timestamp: new Date(given.time!).toISOString(),
        payload: { value: 7, text: 'grün', cloudevent: { subject: 'order 7' } },
      });
    });
  }

  it('answers 201 for one that is new, 200 for one that is stored', async () => {
    const { headers, body } = HTTP.structured(event());
    const send = () => api.call('POST', '/events', body as string, headers as Record<string, string>);
    const first = await send();
    assert.equal(first.status, 201);
    const again = await send();
    assert.equal(again.status, 200);
    assert.deepEqual(again.body, first.body);
  });

  it('stores binary data with what its headers say, percent-decoded', async () => {
    const id = randomUUID();
    const { status, body } = await api.call('POST', '/events', new Uint8Array([0, 255]), {
      'content-type': 'image/png',
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-source': '/camera',
      'ce-type': 'picture',
      'ce-subject': 'Z%C3%BCrich',
    });
    assert.equal(status, 201);
    assert.equal(body.id, id);
    assert.deepEqual(body.payload, {
      data_base64: 'AP8=',
      cloudevent: { subject: 'Zürich', datacontenttype: 'image/png' },
    });
  });

  it('answers a batch item by item, and one that is bad costs the others nothing', async () => {
    const [good, other] = [event(), event({ id: 'not-a-uuid', time: '2020-01-01T00:00:00.000Z' })];
    const bad = { ...event().toJSON(), source: '' };
    const { status, body } = await api.call('POST', '/events', JSON.stringify([good, bad, other, good]), {
      'content-type': 'application/cloudevents-batch+json; charset=utf-8',
    });
    assert.equal(status, 200);
    assert.deepEqual(
      body.results.map((result: { status: string }) => result.status),
      ['stored', 'invalid', 'invalid', 'duplicate'],
    );
    assert.deepEqual(body.results[1].errors[0].field, 'source');
    // Errors name fields as the sender knows them.
    assert.deepEqual(body.results[2].errors, [{ field: 'time', reason: 'older than events are kept' }]);
    assert.equal((await stored(good.id)).status, 200);
  });

  it('refuses with 422 what is none, and a batch in which none is', async () => {
    const refuse = async (type: string, body: unknown, headers: Record<string, string> = {}) => {
      const answer = await api.call('POST', '/events', JSON.stringify(body), {
        'content-type': type,
        ...headers,
      });
      assert.equal(answer.status, 422);
      return answer.body.errors[0].field;
    };
    assert.equal(await refuse('application/cloudevents+json', { specversion: '1.0', id: '1' }), 'source');
    assert.equal(await refuse('application/cloudevents-batch+json', [{}]), '0.id');
    assert.equal(await refuse('application/cloudevents-batch+json', {}), 'body');
    assert.equal(await refuse('application/json', {}, { 'ce-specversion': '1.0' }), 'id');
  });

  it('takes one of the same id from another source for another event', async () => {
    const ids = new Set();
    for (const source of ['/one', '/two']) {
      const { headers, body } = HTTP.structured(event({ id: 'order-7', source }));
      const answer = await api.call('POST', '/events', body as string, headers as Record<string, string>);
      assert.equal(answer.status, 201);
      ids.add(answer.body.id);
    }
    assert.equal(ids.size, 2);
  });
});
