import assert from 'node:assert/strict';
import { simulated } from './settings.ts';
import { keepHistory, type Stage, stage } from './stage.ts';

describe('a simulated producer', () => {
  let there: Stage;
  afterEach(() => there.close());

  it('stores every sequence number once, within its ticks, and its row says how far it came', async () => {
    there = await stage();
    const handle = await there.start('source-1', simulated());
    await there.storedCount('source-1', 40);
    const status = await there.status(handle);
    await there.stop(handle);

    const events = await there.stored('source-1');
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      events.map((_, i) => i),
    );
    assert.equal(status.state, 'running');
    assert.ok(status.in_flight <= 4);
    const row = await there.row('source-1');
    assert.equal(row.appended, events.length);
    // A batch that left while an older one was on its way speaks for that one only.
    assert.ok(Number(row.appendedThrough) >= Number(events.at(-1)!.occurred_at) - 4 * 200);
    await keepHistory(handle, 'producer-stopped');
  });
});
