import assert from 'node:assert/strict';
import { pino } from 'pino';
import { LastUse } from '../../../api/auth/last-use.ts';

describe('the last use of keys', () => {
  it('last uses are written together, once, and kept for the next write if PostgreSQL fails', async () => {
    const written: [string, number][][] = [];
    let away = false;
    const uses = new LastUse(
      async (used) => {
        if (away) throw new Error('connection refused');
        written.push([...used]);
      },
      pino({ level: 'silent' }),
    );
    for (let at = 1; at <= 1000; at++) uses.note(at % 2 ? 'a' : 'b', at);
    await uses.flush();
    await uses.flush();
    assert.deepEqual(written, [
      [
        ['a', 999],
        ['b', 1000],
      ],
    ]);
    away = true;
    uses.note('a', 2000);
    uses.note('b', 2000);
    await uses.flush();
    uses.note('b', 3000);
    away = false;
    await uses.stop();
    assert.deepEqual(written[1], [
      ['a', 2000],
      ['b', 3000],
    ]);
  });
});
