import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { CloudEvent, emitterFor, HTTP, httpTransport, Mode } from 'cloudevents';
import { type Stage, stage } from '../../stage.ts';

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

  /**
   * Checks an answer like a Knative broker (kncloudevents): a body that is not a CloudEvent counts as a
   * failure, and the event is sent again.
   */
  async function brokered(message: { headers: unknown; body: unknown }) {
    const response = await fetch(`${api.url}/events`, {
      method: 'POST',
      headers: { ...(message.headers as Record<string, string>), prefer: 'reply' },
      body: message.body as string,
    });
    const reply = await response.text();
    if (response.status < 200 || response.status > 299) return `failed with ${response.status}`;
    return reply === '' ? 'delivered' : `malformed reply: ${reply}`;
  }

  it('is refused with 415 in a format other than JSON', async () => {
    for (const type of [
      'application/cloudevents+avro',
      'application/cloudevents-batch+protobuf',
      'application/cloudevents',
    ]) {
      const { status } = await api.call('POST', '/events', 'x', { 'content-type': type });
      assert.equal(status, 415, type);
    }
  });

  it('counts as delivered for a broker that reads every body as a reply', async () => {
    assert.equal(await brokered(HTTP.structured(event())), 'delivered');
    assert.equal(await brokered(HTTP.binary(event({ subject: 'plain' }))), 'delivered');
    const batch = JSON.stringify([event(), event()]);
    const headers = { 'content-type': 'application/cloudevents-batch+json' };
    assert.equal(await brokered({ headers, body: batch }), 'delivered');
    assert.equal(await brokered({ headers, body: '[]' }), 'delivered');
    // For the broker, 422 is final; after 429 and 503 it tries again.
    assert.equal(await brokered({ headers, body: '[{}]' }), 'failed with 422');
  });

  it('says in a header how many items of a batch were refused', async () => {
    const batch = JSON.stringify([event(), { ...event().toJSON(), source: '' }]);
    const { status, headers, body } = await api.call('POST', '/events', batch, {
      'content-type': 'application/cloudevents-batch+json',
    });
    assert.deepEqual([status, body, headers.get('tocsin-refused')], [202, undefined, '1']);
  });

  it('answers the handshake of CloudEvents webhooks', async () => {
    const { status, headers } = await api.call('OPTIONS', '/events', undefined, {
      'webhook-request-origin': 'eventgrid.azure.net',
      'webhook-request-rate': '120',
    });
    assert.equal(status, 204);
    assert.match(headers.get('allow')!, /POST/);
    assert.equal(headers.get('webhook-allowed-origin'), '*');
    assert.equal(headers.get('webhook-allowed-rate'), '*');
    const plain = await api.call('OPTIONS', '/events');
    assert.equal(plain.headers.get('webhook-allowed-origin'), null);
  });

  it('accepts 64 KiB of any data, as the specification requires of every receiver', async () => {
    const data = Buffer.alloc(64 * 1024 - 300, 0xff);
    const { status } = await api.call('POST', '/events', data, {
      ...{ 'content-type': 'application/octet-stream', 'ce-specversion': '1.0', 'ce-id': 'large' },
      ...{ 'ce-source': '/camera', 'ce-type': 'picture', prefer: 'return=representation' },
    });
    assert.equal(status, 201);
  });

  it('gets the normal answer with Prefer: return=representation: 201 for a new event, 200 for a stored one', async () => {
    const { headers, body } = HTTP.structured(event());
    const send = () =>
      api.call('POST', '/events', body as string, {
        ...(headers as Record<string, string>),
        prefer: 'respond-async, return=representation',
      });
    const first = await send();
    assert.equal(first.status, 201);
    const again = await send();
    assert.equal(again.status, 200);
    assert.deepEqual(again.body, first.body);
  });

  it('stores binary data with the attributes of its headers, percent-decoded', async () => {
    const id = randomUUID();
    const { status, body } = await api.call('POST', '/events', new Uint8Array([0, 255]), {
      'content-type': 'image/png',
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-source': '/camera',
      'ce-type': 'picture',
      'ce-subject': 'Z%C3%BCrich',
      prefer: 'return=representation',
    });
    assert.equal(status, 201);
    assert.equal(body.id, id);
    assert.deepEqual(body.payload, {
      data_base64: 'AP8=',
      cloudevent: { subject: 'Zürich', datacontenttype: 'image/png' },
    });
  });

  it('answers a batch with a result per item, and an invalid one does not affect the others', async () => {
    const [good, other] = [event(), event({ id: 'not-a-uuid', time: '2020-01-01T00:00:00.000Z' })];
    const bad = { ...event().toJSON(), source: '' };
    const { status, body } = await api.call('POST', '/events', JSON.stringify([good, bad, other, good]), {
      'content-type': 'application/cloudevents-batch+json; charset=utf-8',
      prefer: 'return=representation',
    });
    assert.equal(status, 200);
    assert.deepEqual(
      body.results.map((result: { status: string }) => result.status),
      ['stored', 'invalid', 'invalid', 'duplicate'],
    );
    assert.deepEqual(body.results[1].errors[0].field, 'source');
    // Errors use the sender's names of fields.
    assert.deepEqual(body.results[2].errors, [
      { field: 'time', reason: 'is older than the retention of events' },
    ]);
    assert.equal((await stored(good.id)).status, 200);
  });

  it('refuses with 422 a body that is not a CloudEvent, and a batch without one', async () => {
    const refuse = async (type: string, body: unknown, headers: Record<string, string> = {}) => {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      const answer = await api.call('POST', '/events', text, {
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
    const whole = { specversion: '1.0', id: '1', source: 'shop', type: 'order' };
    for (const name of ['__proto__', 'constructor']) {
      // Written as text, because `__proto__` in an object literal would set the prototype.
      const body = `${JSON.stringify(whole).slice(0, -1)},"${name}":{}}`;
      assert.equal(await refuse('application/cloudevents+json', body), name);
    }
  });

  it('treats the same id from another source as another event', async () => {
    const ids = new Set();
    for (const source of ['/one', '/two']) {
      const { headers, body } = HTTP.structured(event({ id: 'order-7', source }));
      const answer = await api.call('POST', '/events', body as string, {
        ...(headers as Record<string, string>),
        prefer: 'return=representation',
      });
      assert.equal(answer.status, 201);
      ids.add(answer.body.id);
    }
    assert.equal(ids.size, 2);
  });
});
