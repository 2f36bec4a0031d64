import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf } from '../../../db/orm.ts';
import { beat, databaseNow } from '../../../db/queries/system/heartbeat.ts';
import { type Stage, stage } from '../stage.ts';

describe('/processes/{id}/retire', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  const gone = async (role: string, age: number) => {
    const now = (await databaseNow(sqlOf(api.orm))) - age;
    const id = crypto.randomUUID();
    const load = { buffered: 0, inFlight: 0, oldestUnappended: null };
    await beat(sqlOf(api.orm), { id, role, startedAt: now, now, ingests: true, load, deaf: [] });
    return id;
  };
  const retire = (id: string) => api.post(`/processes/${id}/retire`);
  interface Status {
    impaired: string[];
    processes: { id: string }[];
    deaf_spans: { name: string; reason: string }[];
  }
  const status = async () => (await api.get('/status')).body as Status;

  it('is suggested by /status while a dead process holds the watermark, and ends that', async () => {
    await gone('api', 0);
    const id = await gone('ingest', 120_000);
    await sql`update watermark set value = (extract(epoch from now()) * 1000)::bigint - 120000`.execute(
      sqlOf(api.orm),
    );
    const before = await status();
    const advice = before.impaired.find((sentence) => sentence.includes('is dead and holds'));
    const path = /POST (\S+)/.exec(advice ?? '')?.[1];
    assert.equal(path, `/processes/${id}/retire`);
    assert.ok(before.processes.some((one) => one.id === id));

    const { status: answered, body } = await api.post(path!);
    assert.equal(answered, 200);
    assert.deepEqual([body.id, body.role], [id, 'ingest']);
    const after = await status();
    assert.ok(!after.impaired.some((sentence) => sentence.includes('is dead and holds')));
    assert.ok(!after.processes.some((one) => one.id === id));
    assert.ok(after.deaf_spans.some(({ name, reason }) => name === 'ingest' && reason === 'lost'));
  });

  it('repeated and concurrent requests get the same answer', async () => {
    const id = await gone('ingest', 60_000);
    const [one, other] = await Promise.all([retire(id), retire(id)]);
    assert.deepEqual([one.status, other.status], [200, 200]);
    assert.deepEqual(one.body, other.body);
    assert.deepEqual((await retire(id)).body, one.body);
  });

  it('a live process, an unknown one and an invalid id are refused', async () => {
    const { status: refused, body } = await retire(await gone('ingest', 0));
    assert.equal(refused, 409);
    assert.match(body.detail, /is alive/);
    assert.equal((await retire(crypto.randomUUID())).status, 404);
    assert.equal((await retire('1%20or%201')).status, 422);
  });

  it('a request is recorded in the audit log, even if it is refused', async () => {
    const id = await gone('ingest', 60_000);
    await retire(id);
    await retire(crypto.randomUUID());
    const entries = (await api.get('/audit?limit=2')).body as Record<string, unknown>[];
    const shown = entries.map(({ action, status: outcome }) => [action, outcome]);
    assert.deepEqual(shown, [
      ['POST /processes/{id}/retire', 404],
      ['POST /processes/{id}/retire', 200],
    ]);
    assert.equal(entries[1]!.target, `/processes/${id}/retire`);
  });

  it('a request requires the role operate', () => {
    const route = api.routes.find(({ path }) => path === '/processes/{id}/retire');
    assert.equal(route?.role, 'operate');
  });
});
