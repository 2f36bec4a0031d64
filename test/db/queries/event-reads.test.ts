import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { type Sql, sqlOf, transaction } from '../../../db/orm.ts';
import { type EventPlace, listEvents, searchEvents } from '../../../db/queries/events/reads.ts';
import { foldRollups } from '../../../db/queries/rules/fold.ts';
import { DAY_MS, type Event } from '../../../domain/events/event.ts';
import { compileFilter, type EventFilter } from '../../../domain/events/filter.ts';
import { anEvent, Engine } from '../../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

/** More than one search reads. */
const characters = 1 << 20;

describe('reading events at scale', () => {
  let engine: Engine;
  const stored: Event[] = Array.from({ length: 1500 }, (_, i) =>
    anEvent({
      // Ten events per millisecond, over five days.
      occurred_at: NOON - Math.floor(i / 10) * Math.floor(DAY_MS / 30),
      severity: i % 500 === 3 ? 'rare' : ['high', 'low'][i % 2]!,
      source_id: `source-${i % 4}`,
      event_type: `type-${i % 3}`,
      payload: i % 97 === 0 ? { host: { name: 'web-1' } } : { n: i },
    }),
  );
  before(async () => {
    engine = await Engine.start(NOON);
    await engine.append(stored);
    await foldRollups(engine.orm, NOON - DAY_MS);
    await sql`analyze events`.execute(sqlOf(engine.orm));
  });
  after(() => engine.stop());

  const db = () => sqlOf(engine.orm);
  const inOrder = (events: readonly Event[]) =>
    [...events]
      .sort((a, b) => b.occurred_at - a.occurred_at || (b.event_id < a.event_id ? -1 : 1))
      .map(({ event_id }) => event_id);
  const ids = (events: readonly Event[]) => events.map(({ event_id }) => event_id);
  const placeOf = ({ occurred_at, event_id }: Event): EventPlace => ({ at: occurred_at, id: event_id });

  const filters: EventFilter[] = [
    {},
    { severity: 'rare' },
    { severity: 'nobody' },
    { source_id: 'source-1' },
    { event_type: 'type-2' },
    { severity: 'high', source_id: 'source-1' },
    { severity: 'high', source_id: 'source-2' },
    { severity: 'rare', event_type: 'type-0' },
    { severity: 'nobody', event_type: 'type-0' },
    { source_id: 'source-3', event_type: 'type-1' },
    { severity: 'low', source_id: 'source-3', event_type: 'type-1' },
  ];
  for (const filter of filters) {
    it(`lists by ${JSON.stringify(filter)}, page by page in either order, and skips what offset says`, async () => {
      const expected = inOrder(stored.filter(compileFilter(filter)));
      for (const order of ['newest first', 'oldest first'] as const) {
        const found: string[] = [];
        let after: EventPlace | undefined;
        for (;;) {
          const page = await listEvents(db(), filter, {}, { after, limit: 37, order });
          if (page.length === 0) break;
          found.push(...ids(page));
          after = placeOf(page.at(-1)!);
        }
        assert.deepEqual(order === 'newest first' ? found : found.reverse(), expected);
      }
      const skipped = await listEvents(db(), filter, {}, { offset: 21, limit: 30 });
      assert.deepEqual(ids(skipped), expected.slice(21, 51));
      const day = { from: NOON - 2 * DAY_MS, to: NOON - DAY_MS };
      assert.deepEqual(
        ids(await listEvents(db(), filter, day, { limit: 2000 })),
        inOrder(
          stored.filter(
            (event) =>
              compileFilter(filter)(event) && event.occurred_at >= day.from && event.occurred_at < day.to,
          ),
        ),
      );
    });
  }

  it('searches payloads part by part, and continues where its time ended', async () => {
    const filter = { payload: [{ path: ['host', 'name'], value: 'web-1' }], severity: 'high' };
    const expected = inOrder(stored.filter(compileFilter(filter)));
    assert.ok(expected.length > 3);
    const found: string[] = [];
    let rounds = 0;
    for (let [after, offset]: [EventPlace | undefined, number] = [undefined, 2]; ; rounds++) {
      const part = await searchEvents(db(), filter, {}, { after, offset, limit: 100, characters }, 0);
      found.push(...ids(part.events));
      if (!part.searchedTo) break;
      after = part.searchedTo;
      offset = part.offset;
    }
    assert.ok(rounds >= 1, 'one stretch is not all');
    assert.deepEqual(found, expected.slice(2));
    const patient = await searchEvents(db(), filter, {}, { limit: 100, characters }, 60_000);
    assert.deepEqual([ids(patient.events), patient.searchedTo], [expected, null]);
    const first = await searchEvents(db(), filter, {}, { limit: 2, characters }, 60_000);
    assert.deepEqual([ids(first.events), first.searchedTo], [expected.slice(0, 2), null]);
  });

  /**
   * How often this connection has scanned each partition, including scans that PostgreSQL has not reported
   * yet.
   */
  const scans = async (tx: Sql) => {
    const { rows } = await sql<{ name: string; n: number }>`
      select relname as name, (coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::int as n
      from pg_stat_xact_user_tables where relname ~ '^events_[0-9]{8}$' order by 1`.execute(tx);
    return rows;
  };
  /** The partitions that a read uses. */
  const touched = (read: (tx: Sql) => Promise<unknown>) =>
    transaction(engine.orm, async (tx) => {
      const before = new Map((await scans(tx)).map(({ name, n }) => [name, n]));
      await read(tx);
      return (await scans(tx)).filter(({ name, n }) => n > before.get(name)!).map(({ name }) => name);
    });
  const day = { from: NOON - 2 * DAY_MS, to: NOON - DAY_MS };
  const twoDays = ['events_20260502', 'events_20260503'];

  for (const filter of [{ severity: 'rare' }, { severity: 'low', source_id: 'source-1' }]) {
    it(`reads only the days of the range, by ${Object.keys(filter).join(' and ')}`, async () => {
      const read = (tx: Sql) => listEvents(tx, filter, day, { limit: 2000 });
      assert.deepEqual(await touched(read), twoDays);
    });
  }

  it('searches only the days of the range', async () => {
    const filter = { payload: [{ path: ['host', 'name'], value: 'web-1' }] };
    const read = (tx: Sql) => searchEvents(tx, filter, day, { limit: 2000, characters }, 60_000);
    assert.deepEqual(await touched(read), twoDays);
  });

  it('reads no day before the page', async () => {
    const after = { at: NOON - 3 * DAY_MS, id: 'ffffffff-ffff-4fff-bfff-ffffffffffff' };
    const read = (tx: Sql) => listEvents(tx, {}, {}, { after, limit: 10 });
    assert.deepEqual(await touched(read), ['events_20260501']);
  });

  it('reads no event for a severity that its type never has', async () => {
    const read = (tx: Sql) => listEvents(tx, { severity: 'nobody', event_type: 'type-0' }, {}, { limit: 10 });
    assert.deepEqual(await touched(read), []);
  });
});
